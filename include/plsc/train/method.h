#pragma once
// Method: what the Trainer needs to know of a way to train (contract C7). One network with one loader and a sharded
// classifier is ClassificationMethod; methods with two networks and loaders are further classes, not further trainers.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plsc/checkpoint/checkpoint.h"
#include "plsc/core/tensor.h"

namespace plsc::train {

/// Fact that names the device and libraries a checkpoint was written on; it may differ between runs.
inline constexpr const char* kBackendFact = "backend";

struct StepOutcome {
  double loss = 0;           ///< global mean, equal on all ranks
  std::int64_t valid = 0;    ///< samples that counted, over all ranks
  std::int64_t correct = 0;  ///< top-1 hits seen by this rank; sum over ranks for the global figure
  double gradient_norm = 0;  ///< L2 norm of the backbone gradient before clipping
  bool finite = true;        ///< false on every rank when loss or gradients are NaN or infinite
};

class Method {
 public:
  virtual ~Method() = default;

  /// Makes everything that depends on the position in the stream (loaders); `step` steps are done.
  virtual void start(std::int64_t step) = 0;
  /// One training step at this learning rate. Collective.
  virtual StepOutcome step(std::int64_t step, double learning_rate) = 0;
  virtual std::uint64_t skipped_samples() const = 0;

  /// Inference for evaluation: images [B, 3, H, W] u8 host -> out [B, D]. Not collective.
  virtual void embed(const Tensor& images, std::span<float> out) = 0;
  /// Closed set: the k best classes per embedding [count, D]. Collective; count at most the batch of this rank.
  virtual std::vector<std::vector<std::int64_t>> top_classes(std::span<const float> embeddings, std::int64_t count,
                                                             int k) = 0;
  virtual std::int64_t batch() const = 0;      ///< B of embed() and top_classes()
  virtual std::int64_t dimension() const = 0;  ///< D
  virtual std::int64_t num_classes() const = 0;

  /// Adds all tensors (by reference to this object's memory) and facts; used both to save and to load.
  virtual void describe(checkpoint::Snapshot& snapshot) = 0;
  /// After a load filled the memory that describe() gave out.
  virtual void restored() = 0;
};

}  // namespace plsc::train
