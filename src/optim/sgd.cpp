#include "plsc/optim/sgd.h"

#include <utility>

namespace plsc::optim {

Sgd::Sgd(const config::OptimConfig& config, FlatParameters parameters, backend::Backend& backend)
    : config_(config),
      parameters_(std::move(parameters)),
      backend_(&backend),
      sum_of_squares_(backend.tensor(Shape{1}, DType::f64)) {}

void Sgd::step(const Tensor& state) {
  backend_->sum_of_squares(parameters_.gradients, sum_of_squares_);
  backend_->clip_scale(sum_of_squares_, config_.clip_norm, state);
  backend_->sgd_update(parameters_.values, parameters_.gradients, parameters_.momentum, parameters_.segments,
                       {config_.momentum, config_.nesterov}, state);
}

}  // namespace plsc::optim
