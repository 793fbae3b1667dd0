#include "backend/cpu/classifier_kernels.h"

#include "backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/classifier_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h: the file is compiled once per instruction set.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace plsc::backend::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Lanes16 = HWY_CAPPED(float, 16);  // divides kSampleMultiple whatever the machine

/// exp, with results near or below the smallest normal float as zero: subnormals would slow the products down.
template <class V>
HWY_INLINE V exp_or_zero(Lanes16 d, V x) {
  return hn::IfThenElseZero(hn::Gt(x, hn::Set(d, -80.0F)), hn::Exp(d, x));
}

void scale_and_max(LogitBlock block, const float* factor, const float* bias, float* max) {
  const Lanes16 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t row = 0; row < block.rows; ++row) {
    float* z = block.values + row * block.n;
    const auto scale = hn::Set(d, factor[row]);
    const auto shift = hn::Set(d, bias != nullptr ? bias[row] : 0.0F);
    for (std::int64_t i = 0; i < block.n; i += step) {
      const auto value = hn::MulAdd(hn::LoadU(d, z + i), scale, shift);
      hn::StoreU(value, d, z + i);
      hn::StoreU(hn::Max(hn::LoadU(d, max + i), value), d, max + i);
    }
  }
}

void scale_logits(LogitBlock block, const float* factor, const float* bias) {
  const Lanes16 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t row = 0; row < block.rows; ++row) {
    float* z = block.values + row * block.n;
    const auto scale = hn::Set(d, factor[row]);
    const auto shift = hn::Set(d, bias != nullptr ? bias[row] : 0.0F);
    for (std::int64_t i = 0; i < block.n; i += step) {
      hn::StoreU(hn::MulAdd(hn::LoadU(d, z + i), scale, shift), d, z + i);
    }
  }
}

void add_exp_sums(LogitBlock block, const float* shift, float* sum) {
  const Lanes16 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const float* z = block.values + row * block.n;
    for (std::int64_t i = 0; i < block.n; i += step) {
      const auto value = exp_or_zero(d, hn::Sub(hn::LoadU(d, z + i), hn::LoadU(d, shift + i)));
      hn::StoreU(hn::Add(hn::LoadU(d, sum + i), value), d, sum + i);
    }
  }
}

void softmax_gradient(LogitBlock logits, const float* log_sum_exp, const float* weight, const float* factor, float* out,
                      float* row_sum) {
  const Lanes16 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t row = 0; row < logits.rows; ++row) {
    const float* z = logits.values + row * logits.n;
    float* g = out + row * logits.n;
    const auto scale = hn::Set(d, factor[row]);
    auto total = hn::Zero(d);
    for (std::int64_t i = 0; i < logits.n; i += step) {
      const auto p = exp_or_zero(d, hn::Sub(hn::LoadU(d, z + i), hn::LoadU(d, log_sum_exp + i)));
      const auto weighted = hn::Mul(p, hn::LoadU(d, weight + i));
      total = hn::Add(total, weighted);
      hn::StoreU(hn::Mul(weighted, scale), d, g + i);
    }
    if (row_sum != nullptr) row_sum[row] = hn::GetLane(hn::SumOfLanes(d, total));
  }
}

float dot_product(const float* a, const float* b, std::int64_t n) {
  const Lanes16 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  auto even = hn::Zero(d);
  auto odd = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * step <= n; i += 2 * step) {
    even = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), even);
    odd = hn::MulAdd(hn::LoadU(d, a + i + step), hn::LoadU(d, b + i + step), odd);
  }
  float total = hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
  for (; i < n; ++i) total += a[i] * b[i];
  return total;
}

void subtract_scaled(float* a, float factor, const float* b, std::int64_t n) {
  const Lanes16 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  const auto scale = hn::Set(d, factor);
  std::int64_t i = 0;
  for (; i + step <= n; i += step) {
    hn::StoreU(hn::NegMulAdd(scale, hn::LoadU(d, b + i), hn::LoadU(d, a + i)), d, a + i);
  }
  for (; i < n; ++i) a[i] -= factor * b[i];
}

void scale_to(const float* input, float factor, float* output, std::int64_t n) {
  const Lanes16 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  const auto scale = hn::Set(d, factor);
  std::int64_t i = 0;
  for (; i + step <= n; i += step) hn::StoreU(hn::Mul(hn::LoadU(d, input + i), scale), d, output + i);
  for (; i < n; ++i) output[i] = factor * input[i];
}

void add_to(float* a, const float* b, std::int64_t n) {
  const Lanes16 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + step <= n; i += step) hn::StoreU(hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, a + i);
  for (; i < n; ++i) a[i] += b[i];
}

void sgd_step(float* weight, float* velocity, const float* gradient, std::int64_t n, SgdCoefficients sgd) {
  const Lanes16 d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  const auto rate = hn::Set(d, sgd.rate);
  const auto decay = hn::Set(d, sgd.weight_decay);
  const auto momentum = hn::Set(d, sgd.momentum);
  std::int64_t i = 0;
  for (; i + step <= n; i += step) {
    const auto w = hn::LoadU(d, weight + i);
    const auto g = hn::MulAdd(decay, w, hn::LoadU(d, gradient + i));
    auto direction = g;
    if (velocity != nullptr) {
      const auto v = hn::MulAdd(momentum, hn::LoadU(d, velocity + i), g);
      hn::StoreU(v, d, velocity + i);
      direction = sgd.nesterov ? hn::MulAdd(momentum, v, g) : v;
    }
    hn::StoreU(hn::NegMulAdd(rate, direction, w), d, weight + i);
  }
  for (; i < n; ++i) {
    const float g = gradient[i] + sgd.weight_decay * weight[i];
    float direction = g;
    if (velocity != nullptr) {
      velocity[i] = sgd.momentum * velocity[i] + g;
      direction = sgd.nesterov ? g + sgd.momentum * velocity[i] : velocity[i];
    }
    weight[i] -= sgd.rate * direction;
  }
}

}  // namespace plsc::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace plsc::backend::cpu {

HWY_EXPORT(scale_and_max);
HWY_EXPORT(scale_logits);
HWY_EXPORT(add_exp_sums);
HWY_EXPORT(softmax_gradient);
HWY_EXPORT(dot_product);
HWY_EXPORT(subtract_scaled);
HWY_EXPORT(scale_to);
HWY_EXPORT(add_to);
HWY_EXPORT(sgd_step);

void scale_and_max(LogitBlock block, const float* factor, const float* bias, float* max) {
  HWY_DYNAMIC_DISPATCH(scale_and_max)(block, factor, bias, max);
}
void scale_logits(LogitBlock block, const float* factor, const float* bias) {
  HWY_DYNAMIC_DISPATCH(scale_logits)(block, factor, bias);
}
void add_exp_sums(LogitBlock block, const float* shift, float* sum) {
  HWY_DYNAMIC_DISPATCH(add_exp_sums)(block, shift, sum);
}
void softmax_gradient(LogitBlock logits, const float* log_sum_exp, const float* weight, const float* factor, float* out,
                      float* row_sum) {
  HWY_DYNAMIC_DISPATCH(softmax_gradient)(logits, log_sum_exp, weight, factor, out, row_sum);
}
float dot_product(const float* a, const float* b, std::int64_t n) { return HWY_DYNAMIC_DISPATCH(dot_product)(a, b, n); }
void subtract_scaled(float* a, float factor, const float* b, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(subtract_scaled)(a, factor, b, n);
}
void scale_to(const float* input, float factor, float* output, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(scale_to)(input, factor, output, n);
}
void add_to(float* a, const float* b, std::int64_t n) { HWY_DYNAMIC_DISPATCH(add_to)(a, b, n); }
void sgd_step(float* weight, float* velocity, const float* gradient, std::int64_t n, SgdCoefficients sgd) {
  HWY_DYNAMIC_DISPATCH(sgd_step)(weight, velocity, gradient, n, sgd);
}

}  // namespace plsc::backend::cpu
#endif  // HWY_ONCE
