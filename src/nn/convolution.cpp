#include "plsc/nn/convolution.h"

#include <fmt/format.h>

#include "plsc/core/error.h"

namespace plsc::nn {

Convolution::Convolution(std::string name, const backend::ConvolutionSpec& spec, float init_std)
    : spec_(spec), name_(std::move(name)) {
  weight_.name = name_ + ".weight";
  weight_.shape = Shape{spec.out_channels, spec.in_channels, spec.kernel, spec.kernel};
  weight_.initializer = {Initializer::Kind::normal, init_std};
}

Shape Convolution::output_shape(const Shape& input) const {
  if (input.rank() != 4 || input[1] != spec_.in_channels) {
    throw Error(ErrorCode::config, fmt::format("layer {} expects {} input channels (it got an input of shape {}). "
                                               "Check the network description.",
                                               name_, spec_.in_channels, input.text()));
  }
  const auto extent = [this](std::int64_t size) {
    return (size + 2 * spec_.padding - spec_.kernel) / spec_.stride + 1;
  };
  if (input[2] + 2 * spec_.padding < spec_.kernel || input[3] + 2 * spec_.padding < spec_.kernel) {
    throw Error(ErrorCode::config,
                fmt::format("layer {} has a {}x{} kernel (its input is only {}x{}). Use larger images.", name_,
                            spec_.kernel, spec_.kernel, input[2], input[3]));
  }
  return Shape{input[0], spec_.out_channels, extent(input[2]), extent(input[3])};
}

void Convolution::collect(ParameterList& list) { list.parameters.push_back(&weight_); }

std::int64_t Convolution::multiply_accumulates(const Shape& input) const {
  return output_shape(input).elements() * spec_.in_channels * spec_.kernel * spec_.kernel;
}

backend::Convolution& Convolution::planned(const Shape& input, backend::Backend& backend) {
  return plans_.get(input, [&] { return backend.make_convolution(spec_, input); });
}

void Convolution::plan(const Shape& input, Mode mode, backend::Backend& backend) {
  // Images come plain; everything behind the first layer is blocked.
  const Layout layout = spec_.in_channels == 3 ? Layout::plain : Layout::blocked;
  planned(input, backend).prepare(layout, mode == Mode::training);
}

Tensor Convolution::forward(const Tensor& input, ForwardContext& context) {
  Tensor output = context.backend().activation(output_shape(input.shape()), Layout::blocked);
  planned(input.shape(), context.backend()).forward(input, weight_.weights(), output);
  if (context.training()) context.save(input);
  return output;
}

Tensor Convolution::backward(const Tensor& d_output, ForwardContext& context, InputGradient wanted) {
  const Tensor input = context.take();
  backend::Convolution& operation = planned(input.shape(), context.backend());
  if (weight_.trainable) {
    operation.backward_weights(input, d_output, weight_.gradient, context.accumulate);
    if (context.gradient_ready) context.gradient_ready(weight_);
  }
  if (wanted == InputGradient::skipped) return {};
  Tensor d_input = context.backend().activation(input.shape(), input.layout());
  operation.backward_data(d_output, weight_.weights(), d_input);
  return d_input;
}

}  // namespace plsc::nn
