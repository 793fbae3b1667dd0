#pragma once
// BatchNorm with the activation that follows it and, where a residual block ends in it, the add: y = act(bn(x) + r).

#include <optional>
#include <string>

#include "plsc/nn/layer.h"

namespace plsc::nn {

struct BatchNormOptions {
  float momentum = 0.1F;
  float epsilon = 1e-5F;
  bool learn_scale = true;  ///< false: gamma stays 1 (arcface_torch's last layer)
  backend::Activation activation = backend::Activation::none;
  std::string slope_name;  ///< PReLU: name of the slope parameter, without ".weight"
  bool residual = false;
};

class BatchNorm final : public Layer {
 public:
  /// "<name>.weight", "<name>.bias", "<name>.running_mean", "<name>.running_var", "<slope_name>.weight" (0.25).
  BatchNorm(const std::string& name, std::int64_t channels, const BatchNormOptions& options);

  Shape output_shape(const Shape& input) const override;
  void collect(ParameterList& list) override;
  std::int64_t multiply_accumulates(const Shape& input) const override;
  void plan(const Shape& input, Mode mode, backend::Backend& backend) override;
  Tensor forward(const Tensor& input, ForwardContext& context) override;
  Tensor backward(const Tensor& d_output, ForwardContext& context, InputGradient wanted) override;

  /// With a residual of the input's shape (BatchNormOptions::residual).
  Tensor forward(const Tensor& input, const Tensor& residual, ForwardContext& context);
  /// Also the residual's gradient; without an activation it is d_output itself.
  Tensor backward(const Tensor& d_output, ForwardContext& context, InputGradient wanted, Tensor& d_residual);

 private:
  backend::BatchNorm& planned(const Shape& input, backend::Backend& backend);
  Tensor exchange(const Tensor& local, ForwardContext& context, int& world_size) const;
  Tensor slope() const { return slope_ ? slope_->value : Tensor(); }

  std::string name_;
  std::int64_t channels_;
  BatchNormOptions options_;
  Parameter gamma_;
  Parameter beta_;
  std::optional<Parameter> slope_;
  StateBuffer running_mean_;
  StateBuffer running_var_;
  PlanCache<backend::BatchNorm> plans_;
};

}  // namespace plsc::nn
