#pragma once
// Fully connected layer; a [B, C, H, W] input is flattened in NCHW order.

#include <string>

#include "plsc/nn/layer.h"

namespace plsc::nn {

class Linear final : public Layer {
 public:
  /// Parameters "<name>.weight" [O, I] and "<name>.bias" [O], uniform in +-1/sqrt(I) as PyTorch starts them.
  Linear(std::string name, std::int64_t in_features, std::int64_t out_features);

  Shape output_shape(const Shape& input) const override;
  void collect(ParameterList& list) override;
  std::int64_t multiply_accumulates(const Shape& input) const override;
  void plan(const Shape& input, Mode mode, backend::Backend& backend) override;
  Tensor forward(const Tensor& input, ForwardContext& context) override;
  Tensor backward(const Tensor& d_output, ForwardContext& context, InputGradient wanted) override;

 private:
  backend::Linear& planned(const Shape& input, Layout layout, backend::Backend& backend);

  std::string name_;
  backend::LinearSpec spec_;
  Parameter weight_;
  Parameter bias_;
  PlanCache<backend::Linear> plans_;
};

}  // namespace plsc::nn
