#include "plsc/eval/closed_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "eval/batch_embedder.h"
#include "plsc/comm/agreement.h"
#include "plsc/core/error.h"

namespace plsc::eval {

namespace {

enum Counter : std::size_t { images, first, first_five, counters };

void count_hits(std::int64_t label, const std::vector<std::int64_t>& best, std::array<std::int64_t, counters>& totals) {
  if (label < 0) return;
  ++totals[images];
  const auto considered = best.begin() + std::min<std::ptrdiff_t>(kClosedSetRanks, std::ssize(best));
  const auto found = std::find(best.begin(), considered, label);
  if (found == considered) return;
  ++totals[first_five];
  if (found == best.begin()) ++totals[first];
}

}  // namespace

ClosedSetResult evaluate_closed_set(const data::SampleSource& source, const EmbedOptions& options,
                                    const EmbedFunction& embed, const TopClasses& top_classes,
                                    comm::Communicator& communicator) {
  const SourceImages set(source);
  std::array<std::int64_t, counters> totals{};
  BatchEmbedder embedder(set, range_of(set.count(), communicator.rank(), communicator.size()), options, embed);
  const std::vector<float> padding(static_cast<std::size_t>(options.batch * options.dimension));
  // Ranks with fewer images keep the others company in the collective ranking with rows of zeros.
  const std::int64_t rounds = rounds_for(set.count(), communicator.size(), options.batch);
  for (std::int64_t round = 0; round < rounds; ++round) {
    EmbeddedBatch batch{0, 0, padding, {}};
    comm::run_agreed(communicator, [&] {
      if (!embedder.finished()) batch = embedder.next();
    });
    const auto best = top_classes(batch.rows.data(), options.batch);
    if (std::ssize(best) != options.batch) {
      throw Error(ErrorCode::internal, fmt::format("The head ranked classes for {} embeddings (it was given {}).",
                                                   best.size(), options.batch));
    }
    for (std::int64_t i = 0; i < batch.valid; ++i) {
      count_hits(source.label(static_cast<std::uint64_t>(batch.first + i)), best[static_cast<std::size_t>(i)], totals);
    }
  }

  communicator.all_reduce(std::span<std::int64_t>(totals), comm::ReduceOp::sum);
  if (totals[images] == 0) {
    throw Error(ErrorCode::data,
                "The closed-set list holds no labelled image (accuracy of nothing is undefined). "
                "Give a list with images.");
  }
  const auto share = [&](Counter counter) {
    return static_cast<double>(totals[counter]) / static_cast<double>(totals[images]);
  };
  return {totals[images], source.num_classes(), share(first), share(first_five)};
}

}  // namespace plsc::eval
