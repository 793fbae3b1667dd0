// TiledClassifier::top_classes: every rank finds its k best rows for all samples, tile by tile; one all-to-all brings
// the candidates of a sample to the rank that gave it.

#include <algorithm>
#include <limits>
#include <utility>

#include "head/sharded_classifier.h"
#include "plsc/core/error.h"

namespace plsc::head {

std::vector<std::vector<std::int64_t>> TiledClassifier::top_classes(const Tensor& embeddings, int k) {
  if (k < 1 || embeddings.shape().rank() != 2 || embeddings.shape()[1] != columns_) {
    throw Error(ErrorCode::internal, "top_classes needs k >= 1 and embeddings [B, D] of the head's width.");
  }
  const std::int64_t total = embeddings.shape()[0];
  k = static_cast<int>(std::min<std::int64_t>(k, options_.num_classes));
  std::vector<std::vector<std::int64_t>> out;
  out.reserve(static_cast<std::size_t>(total));
  for (std::int64_t first = 0; first < total; first += batch_) {
    local_top(embeddings, first, k);
    merge_top(std::min(batch_, total - first), k, out);
  }
  return out;
}
/// Candidates of all ranks' samples first to first + B among this rank's rows, into top_values_ and top_ids_.
void TiledClassifier::local_top(const Tensor& embeddings, std::int64_t first, int k) {
  const std::int64_t count = std::min(batch_, embeddings.shape()[0] - first);
  std::fill(send_.begin(), send_.end(), 0.0F);
  const auto part = std::span(send_).first(static_cast<std::size_t>(count * columns_));
  backend_.copy_to_host(embeddings.view(static_cast<std::size_t>(first * columns_), {count, columns_}),
                        std::as_writable_bytes(part));
  gather_embeddings();
  std::fill(targets_.begin(), targets_.end(), backend::kNoTarget);
  const backend::ClassifierBatch& batch = current_batch();
  backend_.copy_from_host(std::as_bytes(std::span(targets_)), batch.targets);
  tile_->load_features(embeddings_, batch);

  const auto candidates = static_cast<std::size_t>(samples_ * k);
  top_values_.assign(candidates, -std::numeric_limits<float>::infinity());
  top_ids_.assign(candidates, -1);
  const Tensor values = backend_.tensor({samples_, k});
  const Tensor ids = backend_.tensor({samples_, k}, DType::i64);
  backend_.copy_from_host(std::as_bytes(std::span(top_values_)), values);
  backend_.copy_from_host(std::as_bytes(std::span(top_ids_)), ids);
  const RowShard& shard = store_->shard();
  for (std::int64_t row = 0; row < shard.size; row += tile_->tile()) {
    const std::int64_t size = std::min(tile_->tile(), shard.size - row);
    tile_->merge_top(batch, store_->rows(row, size), shard.begin + row, k, values, ids);
  }
  backend_.copy_to_host(values, std::as_writable_bytes(std::span(top_values_)));
  backend_.copy_to_host(ids, std::as_writable_bytes(std::span(top_ids_)));
}

/// Exchanges the candidates and appends the best k of this rank's first `samples` samples.
void TiledClassifier::merge_top(std::int64_t samples, int k, std::vector<std::vector<std::int64_t>>& out) {
  const auto candidates = static_cast<std::size_t>(real_ * k);
  std::vector<float> values(candidates);
  std::vector<std::int64_t> ids(candidates);
  communicator_.all_to_all(std::as_bytes(std::span(top_values_).first(candidates)),
                           std::as_writable_bytes(std::span(values)));
  communicator_.all_to_all(std::as_bytes(std::span(top_ids_).first(candidates)),
                           std::as_writable_bytes(std::span(ids)));
  std::vector<std::pair<float, std::int64_t>> best;
  for (std::int64_t i = 0; i < samples; ++i) {
    best.clear();
    for (int rank = 0; rank < communicator_.size(); ++rank) {
      for (int j = 0; j < k; ++j) {
        const auto at = static_cast<std::size_t>((rank * batch_ + i) * k + j);
        if (ids[at] >= 0) best.emplace_back(-values[at], ids[at]);  // ascending order: best first, then the smaller id
      }
    }
    std::sort(best.begin(), best.end());
    best.resize(std::min(best.size(), static_cast<std::size_t>(k)));
    std::vector<std::int64_t>& classes = out.emplace_back();
    for (const auto& candidate : best) classes.push_back(candidate.second);
  }
}

}  // namespace plsc::head
