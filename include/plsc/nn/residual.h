#pragma once
// Residual block: y = join(body(x), shortcut(x)), where join is the body's last BatchNorm with the add fused in.

#include <memory>

#include "plsc/nn/batch_norm.h"
#include "plsc/nn/sequential.h"

namespace plsc::nn {

class Residual final : public Layer {
 public:
  /// An empty shortcut is the identity. `join` must have BatchNormOptions::residual.
  Residual(std::unique_ptr<Sequential> body, std::unique_ptr<BatchNorm> join, std::unique_ptr<Sequential> shortcut);

  Shape output_shape(const Shape& input) const override;
  void collect(ParameterList& list) override;
  std::int64_t multiply_accumulates(const Shape& input) const override;
  void plan(const Shape& input, Mode mode, backend::Backend& backend) override;
  Tensor forward(const Tensor& input, ForwardContext& context) override;
  Tensor backward(const Tensor& d_output, ForwardContext& context, InputGradient wanted) override;

 private:
  std::unique_ptr<Sequential> body_;
  std::unique_ptr<BatchNorm> join_;
  std::unique_ptr<Sequential> shortcut_;
};

}  // namespace plsc::nn
