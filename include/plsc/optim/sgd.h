#pragma once
// SGD with momentum over the backbone's flat parameter storage. Class rows are updated by the head.

#include <vector>

#include "plsc/backend/backend.h"
#include "plsc/config/config.h"
#include "plsc/nn/parameter.h"

namespace plsc::optim {

class Sgd {
 public:
  /// Weight decay per kind of parameter follows optim.decay_*. `parameters` and `backend` must outlive this.
  Sgd(const config::OptimConfig& config, nn::ParameterStore& parameters, backend::Backend& backend);

  /// Clips (optim.clip_norm, over all backbone gradients) and updates. The gradients must already be summed over
  /// ranks. state: StepState tensor; its gradient_scale takes the clip factor and `skip` is set by non-finite norms.
  void step(const Tensor& state);

  /// Squared L2 norm of the gradients at the last step, f64 [1] in backend memory.
  const Tensor& gradient_sum_of_squares() const { return sum_of_squares_; }

 private:
  config::OptimConfig config_;
  nn::ParameterStore* parameters_;
  backend::Backend* backend_;
  std::vector<backend::ParameterSegment> segments_;
  Tensor sum_of_squares_;
};

}  // namespace plsc::optim
