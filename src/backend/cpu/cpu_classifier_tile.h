#pragma once
// The CPU's ClassifierTile. Each thread owns a range of a tile's rows and takes it through all stages alone: product,
// margin, exp, sums, gradients, update. Only the feature gradient is summed over threads, once a step, in order.

#include <atomic>

#include "backend/cpu/classifier_kernels.h"
#include "backend/cpu/classifier_team.h"
#include "plsc/backend/classifier.h"
#include "plsc/core/error.h"

namespace plsc::backend {

class CpuClassifierTile final : public ClassifierTile {
 public:
  CpuClassifierTile(const ClassifierTileSpec& spec, int threads, MemorySource& memory);

  std::int64_t tile() const override { return tile_; }
  std::size_t scratch_bytes() const override;
  ClassifierBatch make_batch() override;
  void load_features(const Tensor& embeddings, const ClassifierBatch& batch) override;
  void begin_forward() override;
  void forward(const ClassifierBatch& batch, const ClassRows& rows, const Tensor& kept) override;
  void finish_forward(const ClassifierBatch& batch, const Tensor& statistics) override;
  void begin_backward() override;
  void backward(const ClassifierBatch& batch, const ClassRows& rows, const Tensor& kept, const RowStep& step) override;
  void finish_backward(const Tensor& d_features) override;
  void embedding_gradient(const ClassifierBatch& batch, std::int64_t first, const Tensor& d_features,
                          const Tensor& d_embeddings) override;
  void update_rows(std::span<const ClassifierBatch> batches, const ClassRows& rows, const RowStep& step) override;
  void merge_top(const ClassifierBatch& batch, const ClassRows& rows, std::int64_t first_id, int k,
                 const Tensor& values, const Tensor& ids) override;

 private:
  enum class Transpose { no, yes };

  /// C[m, n] = op(A)[m, k] B[k, n] + beta C, all row-major, in the calling thread.
  void product(Transpose transpose, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b,
               float beta, float* c);
  /// body(range of rows) per thread; reports a failed product afterwards.
  template <class Body>
  void for_row_parts(const ClassRows& rows, const Body& body);
  template <class Visit>
  void for_targets(const ClassifierBatch& batch, const ClassRows& rows, cpu::Range part, const Visit& visit) const;

  void row_factors(const ClassRows& rows, cpu::Range part);
  void raw_logits(const ClassifierBatch& batch, const ClassRows& rows, cpu::Range part, float* z);
  void forward_targets(const ClassifierBatch& batch, const ClassRows& rows, cpu::Range part, float* z);
  void accumulate_softmax(int part_index, cpu::LogitBlock z, const float* factor, const float* bias);
  void logit_gradient(const ClassifierBatch& batch, const ClassRows& rows, const Tensor& kept, cpu::Range part,
                      bool first);
  void row_gradient(const ClassifierBatch& batch, cpu::Range part, bool first);
  void step_rows(const ClassRows& rows, cpu::Range part, const RowStep& step);

  float* row_of(const Tensor& tensor, std::int64_t row) const { return tensor.data<float>() + row * tensor.shape()[1]; }
  const float* bias_of(const ClassRows& rows, cpu::Range part) const {
    return rows.bias.defined() ? rows.bias.data<float>() + part.begin : nullptr;
  }

  MarginSpec margin_;
  bool normalized_;
  float scale_;
  int threads_;
  std::int64_t n_;
  std::int64_t d_;
  std::int64_t tile_;
  MemorySource& memory_;
  std::atomic<bool> product_failed_{false};
  std::atomic<bool> bad_row_{false};  ///< a row of this forward pass was not finite

  Tensor logits_;        ///< [T, N] logits, then their gradients
  Tensor d_weight_;      ///< [T, D]
  Tensor inverse_norm_;  ///< [T] 1/|w|, 0 for a zero row; 1 for plain softmax
  Tensor factor_;        ///< [T] d logit / d (x . w)
  Tensor row_sum_;       ///< [T]
  Tensor d_bias_;        ///< [T] sum over samples of d loss / d logit
  Tensor running_max_;   ///< [threads, N] over the tiles so far
  Tensor running_sum_;   ///< [threads, N] f64, relative to running_max_
  Tensor shift_;         ///< [threads, N]
  Tensor tile_sum_;      ///< [threads, N]
  Tensor target_;        ///< [2, N] the target's logit with and without margin
  Tensor d_features_;    ///< [threads, N * D] one sum per thread, added in order at the end
};

template <class Body>
void CpuClassifierTile::for_row_parts(const ClassRows& rows, const Body& body) {
  cpu::run_team(threads_, [&](int part_index) {
    const cpu::Range part = cpu::part_range(rows.size, part_index, threads_);
    if (part.size() > 0) body(part_index, part);
  });
  if (product_failed_) throw Error(ErrorCode::internal, "oneDNN refused a matrix product of the classifier.");
}

/// visit(sample, row of the tile) for every sample whose target is among rows `part` of the tile.
template <class Visit>
void CpuClassifierTile::for_targets(const ClassifierBatch& batch, const ClassRows& rows, cpu::Range part,
                                    const Visit& visit) const {
  const std::int64_t* targets = batch.targets.data<std::int64_t>();
  for (std::int64_t i = 0; i < n_; ++i) {
    const std::int64_t row = targets[i] - rows.first_slot;
    if (targets[i] >= 0 && row >= part.begin && row < part.end) visit(i, row);
  }
}

}  // namespace plsc::backend
