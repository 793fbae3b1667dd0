#pragma once
// 2-D convolution without bias (a BatchNorm follows everywhere in this field's networks).

#include <string>

#include "plsc/nn/layer.h"

namespace plsc::nn {

class Convolution final : public Layer {
 public:
  /// Parameter: "<name>.weight" [O, I, K, K], normal with deviation init_std.
  Convolution(std::string name, const backend::ConvolutionSpec& spec, float init_std);

  Shape output_shape(const Shape& input) const override;
  void collect(ParameterList& list) override;
  std::int64_t multiply_accumulates(const Shape& input) const override;
  void plan(const Shape& input, Mode mode, backend::Backend& backend) override;
  Tensor forward(const Tensor& input, ForwardContext& context) override;
  Tensor backward(const Tensor& d_output, ForwardContext& context, InputGradient wanted) override;

 private:
  backend::Convolution& planned(const Shape& input, backend::Backend& backend);

  backend::ConvolutionSpec spec_;
  std::string name_;
  Parameter weight_;
  PlanCache<backend::Convolution> plans_;
};

}  // namespace plsc::nn
