#include "plsc/nn/residual.h"

#include <fmt/format.h>

#include "plsc/core/error.h"

namespace plsc::nn {

Residual::Residual(std::unique_ptr<Sequential> body, std::unique_ptr<BatchNorm> join,
                   std::unique_ptr<Sequential> shortcut)
    : body_(std::move(body)), join_(std::move(join)), shortcut_(std::move(shortcut)) {}

Shape Residual::output_shape(const Shape& input) const {
  const Shape main = body_->output_shape(input);
  const Shape side = shortcut_->output_shape(input);
  if (main != side) {
    throw Error(ErrorCode::config,
                fmt::format("residual block adds {} and {} (shapes must be equal). Give the shortcut "
                            "the stride and width of the body.",
                            main.text(), side.text()));
  }
  return join_->output_shape(main);
}

void Residual::collect(ParameterList& list) {
  body_->collect(list);
  join_->collect(list);
  shortcut_->collect(list);
}

std::int64_t Residual::multiply_accumulates(const Shape& input) const {
  return body_->multiply_accumulates(input) + shortcut_->multiply_accumulates(input);
}

void Residual::plan(const Shape& input, Mode mode, backend::Backend& backend) {
  body_->plan(input, mode, backend);
  join_->plan(body_->output_shape(input), mode, backend);
  shortcut_->plan(input, mode, backend);
}

Tensor Residual::forward(const Tensor& input, ForwardContext& context) {
  const Tensor side = shortcut_->forward(input, context);
  const Tensor main = body_->forward(input, context);
  return join_->forward(main, side, context);
}

Tensor Residual::backward(const Tensor& d_output, ForwardContext& context, InputGradient wanted) {
  Tensor d_side;
  Tensor d_main = join_->backward(d_output, context, InputGradient::needed, d_side);
  Tensor d_input = body_->backward(d_main, context, wanted);
  d_main = Tensor();
  d_side = shortcut_->backward(d_side, context, wanted);
  if (wanted == InputGradient::skipped) return {};
  context.backend().add(d_side, d_input);
  return d_input;
}

}  // namespace plsc::nn
