#pragma once
// SIMD passes of BatchNorm over one plane: the rows (pixels) of one sample's channel block, `block` (8 or 16) channels
// side by side. Single-threaded, Highway with run-time dispatch.

#include <cstdint>

#include "plsc/backend/batch_norm.h"

namespace plsc::backend::kernels {

inline constexpr int kMaxBlock = 16;

/// Per-channel constants of one block; padded channels hold zeros, which keeps their elements zero.
struct BlockConstants {
  alignas(64) float scale[kMaxBlock] = {};
  alignas(64) float shift[kMaxBlock] = {};
  alignas(64) float mean[kMaxBlock] = {};
  alignas(64) float inverse[kMaxBlock] = {};       ///< 1 / deviation
  alignas(64) float slope[kMaxBlock] = {};         ///< of PReLU
  alignas(64) float mean_dz[kMaxBlock] = {};       ///< backward_plane: mean of dz
  alignas(64) float mean_dz_xhat[kMaxBlock] = {};  ///< backward_plane: mean of dz * xhat
};

/// What is computed at every element; residual != nullptr adds it before the activation.
struct PlaneShape {
  std::int64_t rows;
  int block;
  Activation activation;
  bool stream = false;  ///< results go past the caches; they must not be any of the inputs, and lie on vector borders
};

/// mean [block] and sum of squared deviations [block] of the plane's rows; rows > 0.
void moments_plane(const float* x, std::int64_t rows, int block, double* mean, double* m2);

/// y = act(scale * x + shift + residual)
void apply_plane(const PlaneShape& shape, const BlockConstants& constants, const float* x, const float* residual,
                 float* y);

/// sums [3][block]: of dz, dz * xhat, d_slope.
void backward_sums_plane(const PlaneShape& shape, const BlockConstants& constants, const float* x,
                         const float* residual, const float* dy, double* sums);

/// dx = scale * (dz - mean_dz - xhat * mean_dz_xhat); d_residual (if not null) = dz. dx may be dy.
void backward_plane(const PlaneShape& shape, const BlockConstants& constants, const float* x, const float* residual,
                    const float* dy, float* dx, float* d_residual);

}  // namespace plsc::backend::kernels
