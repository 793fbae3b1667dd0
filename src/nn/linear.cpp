#include "plsc/nn/linear.h"

#include <fmt/format.h>

#include <cmath>

#include "plsc/core/error.h"

namespace plsc::nn {

Linear::Linear(std::string name, std::int64_t in_features, std::int64_t out_features)
    : name_(std::move(name)), spec_{in_features, out_features, true} {
  const Initializer uniform{Initializer::Kind::uniform,
                            static_cast<float>(1.0 / std::sqrt(static_cast<double>(in_features)))};
  weight_.name = name_ + ".weight";
  weight_.shape = Shape{out_features, in_features};
  weight_.initializer = uniform;
  bias_.name = name_ + ".bias";
  bias_.shape = Shape{out_features};
  bias_.kind = ParameterKind::bias;
  bias_.initializer = uniform;
}

Shape Linear::output_shape(const Shape& input) const {
  if (input.elements() != input[0] * spec_.in_features) {
    throw Error(ErrorCode::config, fmt::format("layer {} expects {} features (it got an input of shape {}). Check the "
                                               "image size and the network description.",
                                               name_, spec_.in_features, input.text()));
  }
  return Shape{input[0], spec_.out_features};
}

void Linear::collect(ParameterList& list) {
  list.parameters.push_back(&weight_);
  list.parameters.push_back(&bias_);
}

std::int64_t Linear::multiply_accumulates(const Shape& input) const {
  return input[0] * spec_.in_features * spec_.out_features;
}

backend::Linear& Linear::planned(const Shape& input, Layout layout, backend::Backend& backend) {
  return plans_.get(input, [&] { return backend.make_linear(spec_, input, layout); });
}

void Linear::plan(const Shape& input, Mode, backend::Backend& backend) {
  planned(input, input.rank() == 4 ? Layout::blocked : Layout::plain, backend);
}

Tensor Linear::forward(const Tensor& input, ForwardContext& context) {
  Tensor output = context.backend().activation(output_shape(input.shape()), Layout::plain);
  planned(input.shape(), input.layout(), context.backend()).forward(input, weight_.weights(), &bias_.value, output);
  if (context.training()) context.save(input);
  return output;
}

Tensor Linear::backward(const Tensor& d_output, ForwardContext& context, InputGradient wanted) {
  const Tensor input = context.take();
  backend::Linear& operation = planned(input.shape(), input.layout(), context.backend());
  operation.backward_weights(input, d_output, weight_.gradient, &bias_.gradient, context.accumulate);
  if (context.gradient_ready) {
    context.gradient_ready(bias_);
    context.gradient_ready(weight_);
  }
  if (wanted == InputGradient::skipped) return {};
  Tensor d_input = context.backend().activation(input.shape(), input.layout());
  operation.backward_data(d_output, weight_.weights(), d_input);
  return d_input;
}

}  // namespace plsc::nn
