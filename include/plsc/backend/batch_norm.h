#pragma once
// Batch normalisation fused with an optional residual add and activation, in stages, so that a layer may exchange the
// per-channel statistics between ranks in the middle (synchronised BatchNorm):
//   z = gamma * (x - mean) / sqrt(var + eps) + beta + residual;   y = act(z)
// Forward: local_moments -> [exchange] -> fold -> apply. Inference: fold_running -> apply.
// Backward: backward_sums -> [exchange] -> backward_apply. Two passes over memory each.
// Only samples [0, valid) of the batch count; the rest is padding and gets zero gradients (contract C4).
// Deterministic: partial sums per (sample, channel block), combined in a fixed order, whatever the thread count.

#include <cstdint>

#include "plsc/core/tensor.h"

namespace plsc::backend {

enum class Activation { none, relu, prelu };  ///< prelu: one slope per channel

struct BatchNormSpec {
  Activation activation = Activation::none;
  bool residual = false;  ///< add a tensor of the input's shape before the activation
  float epsilon = 1e-5F;
};

class BatchNorm {
 public:
  virtual ~BatchNorm() = default;

  // Per-channel tensors have C elements (no padding), f32 unless stated. `folded` is [4, C]: scale, shift, mean,
  // inverse deviation; it is what backward needs besides the input. Inputs are [N, C, H, W] blocked or [N, C] plain.

  /// moments [3, C] f64: count, mean, sum of squared deviations over this rank's valid samples.
  virtual void local_moments(const Tensor& input, std::int64_t valid, const Tensor& moments) = 0;
  /// Combines moments [W, 3, C] of W ranks in rank order (Chan et al. 1979), writes `folded` and updates the running
  /// statistics: running = (1 - momentum) * running + momentum * batch; the variance unbiased, as PyTorch has it.
  /// Where no sample counts at all, `folded` is that of fold_running and the running statistics stay.
  virtual void fold(const Tensor& all_moments, int world_size, const Tensor& gamma, const Tensor& beta,
                    const Tensor& running_mean, const Tensor& running_var, float momentum, const Tensor& folded) = 0;
  virtual void fold_running(const Tensor& gamma, const Tensor& beta, const Tensor& running_mean,
                            const Tensor& running_var, const Tensor& folded) = 0;
  /// residual and slope may be undefined where the spec has none. output may not alias input.
  virtual void apply(const Tensor& input, const Tensor& residual, const Tensor& folded, const Tensor& slope,
                     const Tensor& output) = 0;

  /// sums [3, C] f64: sum dz, sum dz * xhat, sum of d_slope, over valid samples. With an activation and a residual the
  /// residual is needed to recompute z.
  virtual void backward_sums(const Tensor& input, const Tensor& residual, const Tensor& d_output, const Tensor& folded,
                             const Tensor& slope, std::int64_t valid, const Tensor& sums) = 0;
  /// d_input = gamma * inv_std * (dz - mean(dz) - xhat * mean(dz * xhat)) with sums [W, 3, C] of all ranks and the
  /// global count of elements per channel; count 0 means fixed statistics (dx = scale * dz). d_residual (if defined)
  /// = dz. d_input may be d_output.
  virtual void backward_apply(const Tensor& input, const Tensor& residual, const Tensor& d_output, const Tensor& folded,
                              const Tensor& slope, const Tensor& all_sums, int world_size, double count,
                              std::int64_t valid, const Tensor& d_input, const Tensor& d_residual) = 0;
  /// Adds this rank's sums [3, C] to d_gamma, d_beta, d_slope (each [C]); undefined ones are left out.
  virtual void add_parameter_gradients(const Tensor& sums, const Tensor& d_gamma, const Tensor& d_beta,
                                       const Tensor& d_slope) = 0;
};

}  // namespace plsc::backend
