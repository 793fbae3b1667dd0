#pragma once
// Layers one after another.

#include <memory>
#include <vector>

#include "plsc/nn/layer.h"

namespace plsc::nn {

class Sequential final : public Layer {
 public:
  Sequential& add(std::unique_ptr<Layer> layer);
  bool empty() const { return layers_.empty(); }

  Shape output_shape(const Shape& input) const override;
  void collect(ParameterList& list) override;
  std::int64_t multiply_accumulates(const Shape& input) const override;
  void plan(const Shape& input, Mode mode, backend::Backend& backend) override;
  Tensor forward(const Tensor& input, ForwardContext& context) override;
  Tensor backward(const Tensor& d_output, ForwardContext& context, InputGradient wanted) override;

 private:
  std::vector<std::unique_ptr<Layer>> layers_;
};

}  // namespace plsc::nn
