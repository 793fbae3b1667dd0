#pragma once
// Planned fully connected layer y = x W^T + b. Input [B, C, H, W] in any layout (flattened in NCHW order) or [B, I];
// weights [O, I] f32 plain, bias [O]; output [B, O] plain.

#include "plsc/backend/convolution.h"
#include "plsc/core/tensor.h"

namespace plsc::backend {

struct LinearSpec {
  std::int64_t in_features = 0;
  std::int64_t out_features = 0;
  bool bias = true;
};

class Linear {
 public:
  virtual ~Linear() = default;

  virtual void forward(const Tensor& input, Weights weights, const Tensor* bias, const Tensor& output) = 0;
  /// d_input has the layout of the input.
  virtual void backward_data(const Tensor& d_output, Weights weights, const Tensor& d_input) = 0;
  virtual void backward_weights(const Tensor& input, const Tensor& d_output, const Tensor& d_weights,
                                const Tensor* d_bias, bool accumulate) = 0;
};

}  // namespace plsc::backend
