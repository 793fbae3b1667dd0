#pragma once
// SGD with momentum over flat parameter storage. Class rows are updated by the head.

#include <vector>

#include "plsc/backend/backend.h"
#include "plsc/config/config.h"

namespace plsc::optim {

/// Flat f32 tensors of equal size and the parts of them that share a weight decay.
struct FlatParameters {
  Tensor values;
  Tensor gradients;
  Tensor momentum;
  std::vector<backend::ParameterSegment> segments;
};

class Sgd {
 public:
  /// `backend` must outlive this.
  Sgd(const config::OptimConfig& config, FlatParameters parameters, backend::Backend& backend);

  /// Clips (optim.clip_norm, over all backbone gradients) and updates. The gradients must already be summed over
  /// ranks. state: StepState tensor; its gradient_scale takes the clip factor and `skip` is set by non-finite norms.
  void step(const Tensor& state);

  /// Squared L2 norm of the gradients at the last step, f64 [1] in backend memory.
  const Tensor& gradient_sum_of_squares() const { return sum_of_squares_; }

 private:
  config::OptimConfig config_;
  FlatParameters parameters_;
  backend::Backend* backend_;
  Tensor sum_of_squares_;
};

}  // namespace plsc::optim
