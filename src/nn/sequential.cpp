#include "plsc/nn/sequential.h"

namespace plsc::nn {

Sequential& Sequential::add(std::unique_ptr<Layer> layer) {
  layers_.push_back(std::move(layer));
  return *this;
}

Shape Sequential::output_shape(const Shape& input) const {
  Shape shape = input;
  for (const auto& layer : layers_) shape = layer->output_shape(shape);
  return shape;
}

void Sequential::collect(ParameterList& list) {
  for (const auto& layer : layers_) layer->collect(list);
}

std::int64_t Sequential::multiply_accumulates(const Shape& input) const {
  std::int64_t total = 0;
  Shape shape = input;
  for (const auto& layer : layers_) {
    total += layer->multiply_accumulates(shape);
    shape = layer->output_shape(shape);
  }
  return total;
}

void Sequential::plan(const Shape& input, Mode mode, backend::Backend& backend) {
  Shape shape = input;
  for (const auto& layer : layers_) {
    layer->plan(shape, mode, backend);
    shape = layer->output_shape(shape);
  }
}

Tensor Sequential::forward(const Tensor& input, ForwardContext& context) {
  Tensor value = input;
  for (const auto& layer : layers_) value = layer->forward(value, context);
  return value;
}

Tensor Sequential::backward(const Tensor& d_output, ForwardContext& context, InputGradient wanted) {
  Tensor gradient = d_output;
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
    const bool first = std::next(layer) == layers_.rend();
    gradient = (*layer)->backward(gradient, context, first ? wanted : InputGradient::needed);
  }
  return gradient;
}

}  // namespace plsc::nn
