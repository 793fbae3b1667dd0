#include "plsc/optim/sgd.h"

namespace plsc::optim {

namespace {

bool decays(nn::ParameterKind kind, const config::OptimConfig& config) {
  switch (kind) {
    case nn::ParameterKind::weight: return true;
    case nn::ParameterKind::bias: return config.decay_bias;
    case nn::ParameterKind::batch_norm: return config.decay_batch_norm;
    case nn::ParameterKind::prelu: return config.decay_prelu;
  }
  return true;
}

}  // namespace

Sgd::Sgd(const config::OptimConfig& config, nn::ParameterStore& parameters, backend::Backend& backend)
    : config_(config), parameters_(&parameters), backend_(&backend),
      sum_of_squares_(backend.tensor(Shape{1}, DType::f64)) {
  for (const nn::Parameter* parameter : parameters.parameters()) {
    if (!parameter->trainable) continue;
    segments_.push_back({parameters.offset_of(*parameter), static_cast<std::size_t>(parameter->shape.elements()),
                         decays(parameter->kind, config) ? config.weight_decay : 0.0F});
  }
}

void Sgd::step(const Tensor& state) {
  backend_->sum_of_squares(parameters_->gradients(), sum_of_squares_);
  backend_->clip_scale(sum_of_squares_, config_.clip_norm, state);
  backend_->sgd_update(parameters_->values(), parameters_->gradients(), parameters_->momentum(), segments_,
                       {config_.momentum, config_.nesterov}, state);
  parameters_->touch();
}

}  // namespace plsc::optim
