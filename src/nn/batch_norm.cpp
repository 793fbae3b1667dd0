#include "plsc/nn/batch_norm.h"

#include <fmt/format.h>

#include "plsc/core/error.h"

namespace plsc::nn {

using backend::Activation;

BatchNorm::BatchNorm(const std::string& name, std::int64_t channels, const BatchNormOptions& options)
    : name_(name), channels_(channels), options_(options) {
  const Shape shape{channels};
  gamma_ = Parameter{name + ".weight",
                     shape,
                     ParameterKind::batch_norm,
                     {Initializer::Kind::constant, 1},
                     options.learn_scale,
                     {},
                     {},
                     1};
  beta_ =
      Parameter{name + ".bias", shape, ParameterKind::batch_norm, {Initializer::Kind::constant, 0}, true, {}, {}, 1};
  running_mean_ = StateBuffer{name + ".running_mean", shape, 0, {}};
  running_var_ = StateBuffer{name + ".running_var", shape, 1, {}};
  if (options.activation == Activation::prelu) {
    slope_ = Parameter{options.slope_name + ".weight",
                       shape,
                       ParameterKind::prelu,
                       {Initializer::Kind::constant, 0.25F},
                       true,
                       {},
                       {},
                       1};
  }
}

Shape BatchNorm::output_shape(const Shape& input) const {
  if (input.rank() < 2 || input[1] != channels_) {
    throw Error(ErrorCode::config, fmt::format("layer {} expects {} channels (it got an input of shape {}). Check the "
                                               "network description.",
                                               name_, channels_, input.text()));
  }
  return input;
}

void BatchNorm::collect(ParameterList& list) {
  list.parameters.push_back(&gamma_);
  list.parameters.push_back(&beta_);
  if (slope_) list.parameters.push_back(&*slope_);
  list.buffers.push_back(&running_mean_);
  list.buffers.push_back(&running_var_);
}

std::int64_t BatchNorm::multiply_accumulates(const Shape&) const { return 0; }

backend::BatchNorm& BatchNorm::planned(const Shape& input, backend::Backend& backend) {
  return plans_.get(input, [&] {
    return backend.make_batch_norm({options_.activation, options_.residual, options_.epsilon}, input);
  });
}

void BatchNorm::plan(const Shape& input, Mode, backend::Backend& backend) { planned(input, backend); }

/// local [3, C] of every rank -> [W, 3, C]; without synchronisation the tensor itself.
Tensor BatchNorm::exchange(const Tensor& local, ForwardContext& context, int& world_size) const {
  comm::Communicator* communicator = context.statistics_communicator;
  world_size = communicator == nullptr ? 1 : communicator->size();
  if (world_size == 1) return local;
  Tensor all(context.backend().memory(), Shape{world_size, 3, channels_}, DType::f64);
  communicator->all_gather(std::as_bytes(local.host_span<double>()), std::as_writable_bytes(all.host_span<double>()));
  return all;
}

Tensor BatchNorm::forward(const Tensor& input, ForwardContext& context) { return forward(input, Tensor(), context); }

Tensor BatchNorm::forward(const Tensor& input, const Tensor& residual, ForwardContext& context) {
  backend::Backend& backend = context.backend();
  backend::BatchNorm& operation = planned(output_shape(input.shape()), backend);
  const Tensor folded = backend.tensor(Shape{4, channels_});
  if (context.training()) {
    const Tensor local(backend.memory(), Shape{3, channels_}, DType::f64);
    operation.local_moments(input, context.valid(), local);
    int world_size = 1;
    const Tensor all = exchange(local, context, world_size);
    operation.fold(all, world_size, gamma_.value, beta_.value, running_mean_.value, running_var_.value,
                   options_.momentum, folded);
  } else {
    operation.fold_running(gamma_.value, beta_.value, running_mean_.value, running_var_.value, folded);
  }
  Tensor output = backend.activation(input.shape(), input.layout());
  operation.apply(input, residual, folded, slope(), output);
  if (context.training()) {
    context.save(input);
    context.save(folded);
    if (options_.residual && options_.activation != Activation::none) context.save(residual);
  }
  return output;
}

Tensor BatchNorm::backward(const Tensor& d_output, ForwardContext& context, InputGradient wanted) {
  Tensor unused;
  return backward(d_output, context, wanted, unused);
}

Tensor BatchNorm::backward(const Tensor& d_output, ForwardContext& context, InputGradient, Tensor& d_residual) {
  backend::Backend& backend = context.backend();
  const bool masked_residual = options_.residual && options_.activation != Activation::none;
  const Tensor residual = masked_residual ? context.take() : Tensor();
  const Tensor folded = context.take();
  const Tensor input = context.take();
  backend::BatchNorm& operation = planned(input.shape(), backend);

  const Tensor sums(backend.memory(), Shape{3, channels_}, DType::f64);
  operation.backward_sums(input, residual, d_output, folded, slope(), context.valid(), sums);
  const Tensor d_slope = slope_ ? slope_->gradient : Tensor();
  if (!context.accumulate) {
    for (const Tensor& gradient : {gamma_.gradient, beta_.gradient, d_slope}) {
      if (gradient.defined()) backend.fill(gradient, 0);
    }
  }
  operation.add_parameter_gradients(sums, gamma_.gradient, beta_.gradient, d_slope);
  if (context.gradient_ready) {
    if (slope_) context.gradient_ready(*slope_);
    context.gradient_ready(beta_);
    if (gamma_.trainable) context.gradient_ready(gamma_);
  }

  int world_size = 1;
  const Tensor all = exchange(sums, context, world_size);
  const std::int64_t samples = context.statistics_communicator == nullptr ? context.valid() : context.global_valid();
  const std::int64_t area = input.shape().elements() / (input.shape()[0] * channels_);
  Tensor d_input = backend.activation(input.shape(), input.layout());
  if (masked_residual) d_residual = backend.activation(input.shape(), input.layout());
  operation.backward_apply(input, residual, d_output, folded, slope(), all, world_size,
                           static_cast<double>(samples * area), context.valid(), d_input, d_residual);
  if (options_.residual && !masked_residual) d_residual = d_output;
  return d_input;
}

}  // namespace plsc::nn
