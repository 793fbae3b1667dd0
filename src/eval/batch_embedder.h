#pragma once
// Decoder and network together: one embedded batch after the other.

#include <cstdint>
#include <optional>
#include <vector>

#include "eval/batch_decoder.h"
#include "plsc/eval/embedder.h"

namespace plsc::eval {

class BatchEmbedder {
 public:
  /// `set` and `embed` must outlive it. Impossible options are Error{config}.
  BatchEmbedder(const ImageSet& set, ImageRange range, const EmbedOptions& options, const EmbedFunction& embed);

  bool finished() const { return done_ == range_.size; }
  /// Not when finished(). The spans of the result are valid until the following call.
  EmbeddedBatch next();

 private:
  ImageRange range_;
  EmbedOptions options_;
  const EmbedFunction& embed_;
  std::int64_t done_ = 0;
  std::vector<float> rows_;      // [B, D]
  std::vector<float> mirrored_;  // [B, D] with flip
  std::vector<double> norms_;
  std::optional<BatchDecoder> decoder_;  // none for an empty range
};

}  // namespace plsc::eval
