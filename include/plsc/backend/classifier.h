#pragma once
// ClassifierTile: the kernels of the sharded classifier (contract C5). The head walks the class rows of its rank tile
// by tile; no logits of all classes ever exist. Two passes per step:
//   begin_forward, forward for every tile, finish_forward   -> per sample: maximum, sum of exp, target logit
//   [ranks exchange these; the head fills `softmax`]
//   begin_backward, backward for every tile, finish_backward -> gradient of the features; rows updated on the way
// For normalised kinds z = scale * margin(xh . wh) with xh = x/|x|, wh = w/|w|; for plain softmax z = x . w + bias.
// Results are reproducible to the last bit for a given tile size and thread count: no atomics, fixed orders.

#include <cstdint>
#include <span>

#include "plsc/backend/margin.h"
#include "plsc/core/tensor.h"

namespace plsc::backend {

struct ClassifierTileSpec {
  std::int64_t samples = 0;    ///< N, gathered batch, a multiple of kSampleMultiple (pad with target none, weight 0)
  std::int64_t embedding = 0;  ///< D
  std::int64_t tile = 0;       ///< T, most rows per call; 0: chosen by the backend
  MarginSpec margin;
  float scale = 64.0F;  ///< s; plain softmax ignores it
};

inline constexpr std::int64_t kSampleMultiple = 16;  ///< f32 lanes of the widest vectors
inline constexpr std::int64_t kNoTarget = -1;        ///< the sample's class has no row in this selection on this rank
inline constexpr std::int64_t kPadding = -2;         ///< the sample does not count at all: its features become zero

/// One gathered batch as the tiles see it, in backend memory. Enough to compute the gradient of the rows again later
/// (deferred update, contract C5b). Made by ClassifierTile::make_batch.
struct ClassifierBatch {
  Tensor features;      ///< [N, D] xh, or x for plain softmax; zero for padding
  Tensor features_t;    ///< [D, N] the same, transposed
  Tensor inverse_norm;  ///< [N] 1/|x|, 0 for a zero embedding (its output and gradient are 0); 1 for plain softmax
  Tensor targets;       ///< [N] i64 slot of the own class on this rank, kNoTarget or kPadding
  Tensor target_slope;  ///< [N] d z_target / d (scaled cosine), where the target is here
  Tensor softmax;       ///< [3, N] log sum exp | weight of the sample's loss, 0 for padding | weight * (p_target - 1)
};

/// Rows of one tile: views into a class store, at most T rows. Undefined tensors: no bias, no momentum.
struct ClassRows {
  Tensor weight;           ///< [t, D]
  Tensor weight_momentum;  ///< [t, D]
  Tensor bias;             ///< [t]
  Tensor bias_momentum;    ///< [t]
  std::int64_t first_slot = 0;
  std::int64_t size = 0;
};

/// What becomes of the row gradients of a tile. At most one of `state` and `d_weight` is set; none: not computed.
struct RowStep {
  const Tensor* state = nullptr;  ///< StepState: update in place, SGD in PyTorch's form, rate head_learning_rate
  float momentum = 0.9F;
  bool nesterov = false;
  float weight_decay = 0;
  Tensor d_weight;  ///< [t, D] receives the gradient instead
  Tensor d_bias;    ///< [t] with d_weight, where there is a bias
};

/// Rows of the statistics tensor [kStatistics, N] that finish_forward fills.
enum ClassifierStatistic : int {
  other_max = 0,      ///< largest logit but the target's on this rank; -infinity without rows
  other_sum = 1,      ///< sum of exp(z - other_max) but the target's
  target_logit = 2,   ///< with margin; -infinity where the target is not here
  target_cosine = 3,  ///< the target's logit without margin; -infinity where it is not here
};
inline constexpr int kStatistics = 4;

class ClassifierTile {
 public:
  virtual ~ClassifierTile() = default;

  virtual std::int64_t tile() const = 0;
  virtual std::size_t scratch_bytes() const = 0;  ///< memory held by this object
  virtual ClassifierBatch make_batch() = 0;

  /// Fills features, features_t, inverse_norm from raw embeddings [N, D]; batch.targets must be set before. A
  /// non-finite embedding that counts makes the statistics of its sample NaN.
  virtual void load_features(const Tensor& embeddings, const ClassifierBatch& batch) = 0;

  virtual void begin_forward() = 0;
  /// kept (or undefined): [t, N] receives the scaled logits for backward().
  virtual void forward(const ClassifierBatch& batch, const ClassRows& rows, const Tensor& kept) = 0;
  /// statistics [kStatistics, N]; sums are NaN when a row was not finite.
  virtual void finish_forward(const ClassifierBatch& batch, const Tensor& statistics) = 0;

  virtual void begin_backward() = 0;
  /// Adds this tile's part to the feature gradient, before its rows change. kept: what forward() stored, or undefined:
  /// computed again, with the same bits.
  virtual void backward(const ClassifierBatch& batch, const ClassRows& rows, const Tensor& kept,
                        const RowStep& step) = 0;
  /// d_features [N, D]: gradient of the (normalised) features over all rows of this rank.
  virtual void finish_backward(const Tensor& d_features) = 0;
  /// Through the normalisation, after the sum over ranks: samples [first, first + B) of the batch. May be in place.
  virtual void embedding_gradient(const ClassifierBatch& batch, std::int64_t first, const Tensor& d_features,
                                  const Tensor& d_embeddings) = 0;

  /// Deferred: the gradient of these rows summed over all batches, computed again, then one step.
  virtual void update_rows(std::span<const ClassifierBatch> batches, const ClassRows& rows, const RowStep& step) = 0;

  /// Merges this tile's logits without margin into running lists of the k best per sample, best first: values [N, k]
  /// f32, ids [N, k] i64 (begin: -infinity and -1). The id of a row is first_id + its place in the tile; calls come
  /// with growing ids, and ties go to the smaller one.
  virtual void merge_top(const ClassifierBatch& batch, const ClassRows& rows, std::int64_t first_id, int k,
                         const Tensor& values, const Tensor& ids) = 0;
};

}  // namespace plsc::backend
