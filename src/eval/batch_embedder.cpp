#include "eval/batch_embedder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plsc/core/error.h"

namespace plsc::eval {

namespace {

void check_options(const EmbedOptions& options) {
  if (options.height < 1 || options.width < 1 || options.batch < 1 || options.dimension < 1 ||
      options.decode_threads < 1) {
    throw Error(ErrorCode::config,
                fmt::format("Embedding images of {}x{} in batches of {} to dimension {} with {} decoding threads is "
                            "impossible (each must be at least 1). Correct the evaluation options.",
                            options.height, options.width, options.batch, options.dimension, options.decode_threads));
  }
}

double norm_of(std::span<const float> row) {
  double squares = 0;
  for (const float value : row) squares += static_cast<double>(value) * value;
  return std::sqrt(squares);
}

}  // namespace

BatchEmbedder::BatchEmbedder(const ImageSet& set, ImageRange range, const EmbedOptions& options,
                             const EmbedFunction& embed)
    : range_(range), options_(options), embed_(embed) {
  check_options(options);
  if (range.size == 0) return;
  const auto values = static_cast<std::size_t>(options.batch * options.dimension);
  rows_.resize(values);
  if (options.flip) mirrored_.resize(values);
  decoder_.emplace(set, range, options);
}

EmbeddedBatch BatchEmbedder::next() {
  const std::int64_t first = range_.begin + done_;
  const std::int64_t valid = std::min(options_.batch, range_.size - done_);
  const auto dimension = static_cast<std::size_t>(options_.dimension);
  const DecodedBatch& batch = decoder_->next();
  embed_(batch.images, rows_);
  if (options_.flip) embed_(batch.mirrored, mirrored_);

  norms_.clear();
  for (std::size_t row = 0; row < static_cast<std::size_t>(valid); ++row) {
    const auto sum = std::span(rows_).subspan(row * dimension, dimension);
    norms_.push_back(norm_of(sum));
    if (!options_.flip) continue;
    const auto other = std::span(mirrored_).subspan(row * dimension, dimension);
    norms_.back() = (norms_.back() + norm_of(other)) / 2;
    for (std::size_t i = 0; i < dimension; ++i) sum[i] += other[i];
  }
  std::fill(rows_.begin() + static_cast<std::ptrdiff_t>(valid * options_.dimension), rows_.end(), 0.0F);
  done_ += valid;
  if (options_.on_progress) options_.on_progress(done_, range_.size);
  return {first, valid, rows_, norms_};
}

}  // namespace plsc::eval
