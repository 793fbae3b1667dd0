#pragma once
// The one ShardedClassifier: walks the selected rows of this rank tile by tile (contract C5).

#include <memory>
#include <span>
#include <vector>

#include "plsc/head/classifier.h"
#include "plsc/head/exchange.h"
#include "plsc/head/tile_plan.h"

namespace plsc::head {

class TiledClassifier final : public ShardedClassifier {
 public:
  TiledClassifier(const ClassifierOptions& options, backend::Backend& backend, comm::Communicator& communicator,
                  std::unique_ptr<RowSelector> selector);

  HeadResult forward_backward(const Tensor& embeddings, std::span<const std::int64_t> labels, RowUpdate update,
                              const Tensor& state) override;
  void commit(const Tensor& state) override;
  std::vector<std::vector<std::int64_t>> top_classes(const Tensor& embeddings, int k) override;

  const RowShard& shard() const override { return store_->shard(); }
  std::vector<RowState> row_state() override { return store_->state(); }
  std::size_t peak_workspace_bytes() const override;

 private:
  void check_batch(const Tensor& embeddings, std::size_t labels) const;
  /// Raw embeddings of all ranks into embeddings_ [N, D] and labels_; rows past world * B are padding.
  void gather(const Tensor& embeddings, std::span<const std::int64_t> labels);
  void gather_embeddings();  ///< send_ of all ranks
  void check_labels() const;
  void set_targets(const backend::ClassifierBatch& batch, const RowSelection& selection);
  RowSelection select(const backend::ClassifierBatch& batch, const Tensor& state);
  backend::ClassRows rows_of(const TileRun& run);
  Tensor kept_logits(const TileRun& run) const;

  void forward_pass(const backend::ClassifierBatch& batch);
  SoftmaxTotals exchange(const backend::ClassifierBatch& batch);
  std::int64_t count_correct() const;
  void backward_pass(const backend::ClassifierBatch& batch, const backend::RowStep& step);
  void scatter(const backend::ClassifierBatch& batch);
  void keep_for_commit(bool finite, const RowSelection& selection);
  backend::ClassifierBatch& current_batch();
  backend::RowStep row_step(const Tensor& state) const;

  void local_top(const Tensor& embeddings, std::int64_t first, int k);
  void merge_top(std::int64_t samples, int k, std::vector<std::vector<std::int64_t>>& out);

  ClassifierOptions options_;
  backend::Backend& backend_;
  comm::Communicator& communicator_;
  std::unique_ptr<RowSelector> selector_;
  std::unique_ptr<ClassStore> store_;
  std::int64_t batch_;    ///< B
  std::int64_t real_;     ///< world * B
  std::int64_t samples_;  ///< N: real_ rounded up to the kernels' multiple
  std::int64_t columns_;  ///< D
  std::unique_ptr<backend::ClassifierTile> tile_;
  SoftmaxExchange exchange_;

  std::vector<backend::ClassifierBatch> batches_;  ///< [0, pending_) wait for commit()
  std::size_t pending_ = 0;
  bool pending_finite_ = true;
  std::vector<std::int64_t> pending_rows_;  ///< selection they were made with, where it is a list
  std::vector<TileRun> runs_;               ///< tiles of the newest selection
  std::int64_t kept_slots_;
  Tensor kept_;          ///< [kept_slots_, N]
  Tensor embeddings_;    ///< [N, D] gathered
  Tensor statistics_;    ///< [kStatistics, N]
  Tensor d_features_;    ///< [N, D] of this rank's rows
  Tensor d_embeddings_;  ///< [B, D]

  // Host sides of the same.
  std::vector<float> send_;
  std::vector<float> gathered_;
  std::vector<std::int64_t> labels_;
  std::vector<std::int64_t> targets_;
  std::vector<float> host_statistics_;
  std::vector<float> host_softmax_;
  std::vector<float> top_values_;      ///< [N, k]
  std::vector<std::int64_t> top_ids_;  ///< [N, k]
};

}  // namespace plsc::head
