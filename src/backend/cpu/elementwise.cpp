#include "backend/cpu/elementwise.h"

#include <cstring>

#include "backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/elementwise.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace plsc::backend::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::CappedTag<float, 16>;
constexpr std::int64_t kLanes = hn::MaxLanes(Floats());

/// body(i) for full vectors at element i; the rest, fewer than kLanes elements, goes through `tail(i, count)`.
template <class Body, class Tail>
HWY_INLINE void for_vectors(std::int64_t size, const Body& body, const Tail& tail) {
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) body(i);
  if (i < size) tail(i, static_cast<std::size_t>(size - i));
}

/// A vector's worth of memory holding `count` values and zeros.
struct Padded {
  Padded() = default;
  Padded(const float* from, std::size_t count) { std::memcpy(values, from, count * sizeof(float)); }
  alignas(64) float values[kLanes] = {};
};

void add(const float* source, float* target, std::int64_t size) {
  const Floats d;
  const auto step = [&](const float* s, float* t)
                        HWY_ATTR { hn::StoreU(hn::Add(hn::LoadU(d, s), hn::LoadU(d, t)), d, t); };
  for_vectors(
      size, [&](std::int64_t i) HWY_ATTR { step(source + i, target + i); },
      [&](std::int64_t i, std::size_t count) HWY_ATTR {
        const Padded s(source + i, count);
        Padded t(target + i, count);
        step(s.values, t.values);
        std::memcpy(target + i, t.values, count * sizeof(float));
      });
}

void scale(float* target, float factor, std::int64_t size) {
  const Floats d;
  const auto factors = hn::Set(d, factor);
  const auto step = [&](float* t) HWY_ATTR { hn::StoreU(hn::Mul(hn::LoadU(d, t), factors), d, t); };
  for_vectors(
      size, [&](std::int64_t i) HWY_ATTR { step(target + i); },
      [&](std::int64_t i, std::size_t count) HWY_ATTR {
        Padded t(target + i, count);
        step(t.values);
        std::memcpy(target + i, t.values, count * sizeof(float));
      });
}

void normalize(const std::uint8_t* pixels, float divisor, float* output, std::int64_t size) {
  const Floats d;
  const hn::Rebind<std::int32_t, Floats> di;
  const hn::Rebind<std::uint8_t, Floats> du;
  const auto middle = hn::Set(d, 127.5F);
  const auto divisors = hn::Set(d, divisor);
  const auto step = [&](const std::uint8_t* p, float* o) HWY_ATTR {
    const auto x = hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(du, p)));
    hn::StoreU(hn::Div(hn::Sub(x, middle), divisors), d, o);
  };
  for_vectors(
      size, [&](std::int64_t i) HWY_ATTR { step(pixels + i, output + i); },
      [&](std::int64_t i, std::size_t count) HWY_ATTR {
        std::uint8_t p[kLanes] = {};
        Padded o;
        std::memcpy(p, pixels + i, count);
        step(p, o.values);
        std::memcpy(output + i, o.values, count * sizeof(float));
      });
}

double sum_of_squares(const float* values, std::int64_t size) {
  const hn::CappedTag<double, 8> dd;
  const hn::Rebind<float, hn::CappedTag<double, 8>> df;
  constexpr std::int64_t kStep = hn::MaxLanes(hn::CappedTag<double, 8>());
  constexpr int kStreams = 4;  // independent sums, which hide the latency of a multiply-add
  hn::Vec<hn::CappedTag<double, 8>> sums[kStreams] = {hn::Zero(dd), hn::Zero(dd), hn::Zero(dd), hn::Zero(dd)};
  std::int64_t i = 0;
  for (; i + kStreams * kStep <= size; i += kStreams * kStep) {
    for (int s = 0; s < kStreams; ++s) {
      const auto x = hn::PromoteTo(dd, hn::LoadU(df, values + i + s * kStep));
      sums[s] = hn::MulAdd(x, x, sums[s]);
    }
  }
  const auto all = hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]));
  double sum = hn::GetLane(hn::SumOfLanes(dd, all));
  for (; i < size; ++i) sum += static_cast<double>(values[i]) * values[i];
  return sum;
}

void sgd(const SgdConstants& c, const float* gradients, float* momentum, float* values, std::int64_t size) {
  const Floats d;
  const auto rate = hn::Set(d, c.learning_rate);
  const auto mu = hn::Set(d, c.momentum);
  const auto decay = hn::Set(d, c.weight_decay);
  const auto gradient_scale = hn::Set(d, c.gradient_scale);
  const auto step = [&](const float* g_at, float* v_at, float* w_at) HWY_ATTR {
    const auto w = hn::LoadU(d, w_at);
    const auto g = hn::MulAdd(decay, w, hn::Mul(gradient_scale, hn::LoadU(d, g_at)));
    const auto v = hn::MulAdd(mu, hn::LoadU(d, v_at), g);
    const auto direction = c.nesterov ? hn::MulAdd(mu, v, g) : v;
    hn::StoreU(v, d, v_at);
    hn::StoreU(hn::NegMulAdd(rate, direction, w), d, w_at);
  };
  for_vectors(
      size, [&](std::int64_t i) HWY_ATTR { step(gradients + i, momentum + i, values + i); },
      [&](std::int64_t i, std::size_t count) HWY_ATTR {
        const Padded g(gradients + i, count);
        Padded v(momentum + i, count);
        Padded w(values + i, count);
        step(g.values, v.values, w.values);
        std::memcpy(momentum + i, v.values, count * sizeof(float));
        std::memcpy(values + i, w.values, count * sizeof(float));
      });
}

const char* target_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace plsc::backend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace plsc::backend::kernels {

HWY_EXPORT(add);
HWY_EXPORT(scale);
HWY_EXPORT(normalize);
HWY_EXPORT(sum_of_squares);
HWY_EXPORT(sgd);
HWY_EXPORT(target_name);

void add_range(const float* source, float* target, std::int64_t size) {
  HWY_DYNAMIC_DISPATCH(add)(source, target, size);
}
void scale_range(float* target, float factor, std::int64_t size) { HWY_DYNAMIC_DISPATCH(scale)(target, factor, size); }
void normalize_range(const std::uint8_t* pixels, float divisor, float* output, std::int64_t size) {
  HWY_DYNAMIC_DISPATCH(normalize)(pixels, divisor, output, size);
}
double sum_of_squares_range(const float* values, std::int64_t size) {
  return HWY_DYNAMIC_DISPATCH(sum_of_squares)(values, size);
}
void sgd_range(const SgdConstants& constants, const float* gradients, float* momentum, float* values,
               std::int64_t size) {
  HWY_DYNAMIC_DISPATCH(sgd)(constants, gradients, momentum, values, size);
}
const char* simd_target() { return HWY_DYNAMIC_DISPATCH(target_name)(); }

}  // namespace plsc::backend::kernels

#endif  // HWY_ONCE
