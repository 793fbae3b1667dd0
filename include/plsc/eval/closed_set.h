#pragma once
// Closed-set accuracy: how often the head ranks the right class of an image first, or among the first five.

#include <cstdint>
#include <functional>
#include <vector>

#include "plsc/comm/communicator.h"
#include "plsc/data/source.h"
#include "plsc/eval/embedder.h"

namespace plsc::eval {

inline constexpr int kClosedSetRanks = 5;

/// The best classes (global ids, best first, at least kClosedSetRanks of them or all there are) of `count` embeddings
/// [count, D] on the host: head::ShardedClassifier::top_classes with k = kClosedSetRanks. May be collective: every rank
/// calls it equally often, always with count == EmbedOptions::batch (padded with zero rows).
using TopClasses = std::function<std::vector<std::vector<std::int64_t>>(const float* embeddings, std::int64_t count)>;

struct ClosedSetResult {
  std::int64_t images = 0;   ///< with a label; label -1 is not counted
  std::int64_t classes = 0;  ///< of the source
  double top1 = 0;
  double top5 = 0;
};

/// Collective; the result is the same on every rank, and so is an image that one of them cannot decode. A source
/// without labelled images is Error{data}.
ClosedSetResult evaluate_closed_set(const data::SampleSource& source, const EmbedOptions& options,
                                    const EmbedFunction& embed, const TopClasses& top_classes,
                                    comm::Communicator& communicator);

}  // namespace plsc::eval
