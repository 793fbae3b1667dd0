#pragma once
// Layer: one step of a network, with its backward. Layers own parameters and planned operations, never activations.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plsc/nn/context.h"

namespace plsc::nn {

enum class InputGradient { needed, skipped };

class Layer {
 public:
  virtual ~Layer() = default;

  virtual Shape output_shape(const Shape& input) const = 0;
  virtual void collect(ParameterList& list) = 0;
  /// Multiply-accumulates of one forward for this input (the field's GMAC convention: convolutions and FC only).
  virtual std::int64_t multiply_accumulates(const Shape& input) const = 0;
  /// Makes the planned operations for this input shape now, instead of at first use; backward ones only for training.
  /// Timed choices happen here.
  virtual void plan(const Shape& input, Mode mode, backend::Backend& backend) = 0;

  virtual Tensor forward(const Tensor& input, ForwardContext& context) = 0;
  /// Gradient of the input, or an undefined tensor when it was not asked for.
  virtual Tensor backward(const Tensor& d_output, ForwardContext& context, InputGradient wanted) = 0;
};

/// The planned operations of one layer, one per input shape it has met (training batch, evaluation batch).
template <class Operation>
class PlanCache {
 public:
  template <class Make>
  Operation& get(const Shape& input, Make&& make) {
    for (auto& [shape, operation] : plans_) {
      if (shape == input) return *operation;
    }
    plans_.emplace_back(input, make());
    return *plans_.back().second;
  }

 private:
  std::vector<std::pair<Shape, std::unique_ptr<Operation>>> plans_;
};

}  // namespace plsc::nn
