#pragma once
// ForwardContext: the activations of one forward pass, kept outside the layers (contract C7), as a stack: forward
// pushes what backward will need, backward pops in reverse order. Reuse one object over steps: it keeps its capacity.

#include <cstdint>
#include <functional>
#include <vector>

#include "plsc/comm/communicator.h"
#include "plsc/nn/parameter.h"

namespace plsc::nn {

enum class Mode { training, inference };

class ForwardContext {
 public:
  explicit ForwardContext(backend::Backend& backend) : backend_(&backend) {}

  /// Starts a pass. `valid`: samples at the head of this rank's batch that count; `global_valid`: their sum over ranks.
  void begin(Mode mode, std::int64_t valid, std::int64_t global_valid);

  backend::Backend& backend() const { return *backend_; }
  Mode mode() const { return mode_; }
  bool training() const { return mode_ == Mode::training; }
  std::int64_t valid() const { return valid_; }
  std::int64_t global_valid() const { return global_valid_; }

  void save(Tensor tensor) { saved_.push_back(std::move(tensor)); }
  Tensor take();
  bool empty() const { return saved_.empty(); }

  /// For synchronised BatchNorm; nullptr: statistics of this rank alone.
  comm::Communicator* statistics_communicator = nullptr;
  /// Adds to gradients instead of overwriting them (second and later micro-batches).
  bool accumulate = false;
  /// Told about every parameter whose gradient of this pass is complete, in reverse forward order. May be empty.
  std::function<void(const Parameter&)> gradient_ready;

 private:
  backend::Backend* backend_;
  Mode mode_ = Mode::inference;
  std::int64_t valid_ = 0;
  std::int64_t global_valid_ = 0;
  std::vector<Tensor> saved_;
};

}  // namespace plsc::nn
