#pragma once
// ShardedClassifier: the row-sharded classifier with margin softmax (reference: insightface PartialFC, An et al. 2021;
// ArcFace, Deng et al. 2019; CosFace, Wang et al. 2018). Contracts C1, C2, C5, C5b, C6.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plsc/backend/backend.h"
#include "plsc/comm/communicator.h"
#include "plsc/config/config.h"
#include "plsc/head/class_store.h"
#include "plsc/head/row_selector.h"
#include "plsc/head/row_shard.h"

namespace plsc::head {

/// Where one call spent its time, in seconds on this rank.
struct HeadTimes {
  double gather = 0;    ///< embeddings and labels to all ranks, waiting for the slowest included
  double forward = 0;   ///< first pass over the rows
  double exchange = 0;  ///< end of the softmax over ranks
  double backward = 0;  ///< second pass over the rows, updates included
  double scatter = 0;   ///< gradients of the embeddings back to their ranks
};

/// What one step of the head yields, equal on all ranks except the gradient.
struct HeadResult {
  double loss = 0;           ///< mean over the global count of valid samples
  std::int64_t valid = 0;    ///< that count
  std::int64_t correct = 0;  ///< samples whose own class has the largest logit without margin: this RANK's rows only;
                             ///< sum over ranks for the global figure
  bool finite = true;        ///< false: loss is NaN or infinite on every rank; rows were left unchanged
  Tensor d_embeddings;       ///< [B, D] of this rank, gradient of the global mean loss (sum over ranks downstream);
                             ///< zero when not finite; the head's own memory, valid until the next call
  HeadTimes times;
};

/// Whether rows may be updated inside forward_backward (contract C5b).
enum class RowUpdate {
  fused,     ///< this step is final: update tile by tile in the backward pass
  deferred,  ///< keep what commit() needs; rows stay as they are
  none,      ///< forward and gradients only, nothing kept
};

class ShardedClassifier {
 public:
  virtual ~ShardedClassifier() = default;

  /// embeddings [B, D] f32 backend memory, labels [B] host, -1 = not counted; B equal on all ranks.
  /// state: StepState tensor. Labels out of range are an Error{data} on every rank. Collective.
  virtual HeadResult forward_backward(const Tensor& embeddings, std::span<const std::int64_t> labels, RowUpdate update,
                                      const Tensor& state) = 0;
  /// Applies the deferred update of all forward_backward calls since the last commit, once; the gradient is the sum of
  /// theirs. Rows stay as they are when state.skip is set or one of the losses was not finite.
  virtual void commit(const Tensor& state) = 0;

  /// The min(k, classes) best classes (global ids, by logit without margin) of each embedding [B, D], on the rank that
  /// gave it. Memory O(k) per sample and rank; ties go to the smaller id. Collective; B equal on all ranks (pad
  /// freely).
  virtual std::vector<std::vector<std::int64_t>> top_classes(const Tensor& embeddings, int k) = 0;

  virtual const RowShard& shard() const = 0;
  virtual std::vector<RowState> row_state() = 0;
  virtual std::size_t peak_workspace_bytes() const = 0;  ///< all memory of the head but rows and momentum
};

struct ClassifierOptions {
  config::HeadConfig head;
  std::int64_t num_classes = 0;
  std::int64_t embedding = 0;
  std::int64_t batch = 0;  ///< B per rank
  std::uint64_t seed = 0;
  float momentum = 0.9F;
  bool nesterov = false;
  float weight_decay = 0;
};

/// selector: nullptr stands for AllRows.
std::unique_ptr<ShardedClassifier> make_sharded_classifier(const ClassifierOptions& options, backend::Backend& backend,
                                                           comm::Communicator& communicator,
                                                           std::unique_ptr<RowSelector> selector = nullptr);

}  // namespace plsc::head
