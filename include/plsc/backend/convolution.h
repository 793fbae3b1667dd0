#pragma once
// Planned 2-D convolution for one input shape. Weights are [O, I, KH, KW] f32 plain; the plan keeps its own reordered
// copies and refreshes them when the version changes. Input and its gradient: blocked, or plain (the stem, whose 3
// channels would mostly be padding); output and its gradient: blocked. Each direction is planned, and where there is a
// choice timed, in prepare() or when it is first used.

#include <cstdint>

#include "plsc/core/tensor.h"

namespace plsc::backend {

struct ConvolutionSpec {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  int kernel = 3;
  int stride = 1;
  int padding = 1;
};

/// A parameter as planned operations see it: value and a number that changes with every update of the value.
struct Weights {
  const Tensor& value;
  std::uint64_t version;
};

class Convolution {
 public:
  virtual ~Convolution() = default;

  virtual Shape output_shape() const = 0;
  /// Plans now what would be planned at first use: the forward pass and, if `backward`, the others (backward_data not
  /// for plain input, which is an image). Nothing is computed, so a trainer can fix its tuned choices before step 0.
  virtual void prepare(Layout input_layout, bool backward) = 0;
  virtual void forward(const Tensor& input, Weights weights, const Tensor& output) = 0;
  virtual void backward_data(const Tensor& d_output, Weights weights, const Tensor& d_input) = 0;
  /// d_weights [O, I, KH, KW] plain: overwritten, or added to when `accumulate`.
  virtual void backward_weights(const Tensor& input, const Tensor& d_output, const Tensor& d_weights,
                                bool accumulate) = 0;
};

}  // namespace plsc::backend
