#pragma once
// SIMD loops over plain ranges of one thread (Highway, best instruction set chosen at run time). Every element is
// treated alike wherever a range begins or ends, so splitting a range changes no bit.

#include <cstdint>

namespace plsc::backend::kernels {

void add_range(const float* source, float* target, std::int64_t size);
void scale_range(float* target, float factor, std::int64_t size);
/// (x - 127.5) / divisor
void normalize_range(const std::uint8_t* pixels, float divisor, float* output, std::int64_t size);
/// In double; the order depends on the instruction set, not on anything else.
double sum_of_squares_range(const float* values, std::int64_t size);

struct SgdConstants {
  float learning_rate;
  float momentum;
  float weight_decay;
  float gradient_scale;
  bool nesterov;
};
void sgd_range(const SgdConstants& constants, const float* gradients, float* momentum, float* values,
               std::int64_t size);

/// "AVX3", "AVX2", "SSE4", ...: what the loops run on.
const char* simd_target();

}  // namespace plsc::backend::kernels
