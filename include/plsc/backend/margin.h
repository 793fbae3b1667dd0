#pragma once
// Margins on the target logit and their exact derivatives, written once for host and device code.
//   ArcFace (Deng et al. 2019):  cos(theta + m2), continued by c - m2 sin(m2) where theta + m2 > pi
//   CosFace (Wang et al. 2018):  c - m3
//   combined:                    cos(m1 theta + m2) - m3
// straight_through is insightface's form since December 2022: margin in the forward pass, slope 1, no continuation.

#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define PLSC_HOST_DEVICE __host__ __device__
#else
#define PLSC_HOST_DEVICE
#endif

namespace plsc::backend {

enum class MarginKind : std::uint8_t { softmax, norm_softmax, arcface, cosface, combined };

struct MarginSpec {
  MarginKind kind = MarginKind::arcface;
  float m1 = 1.0F;
  float m2 = 0.0F;
  float m3 = 0.0F;
  bool straight_through = false;
};

/// Whether logits are scaled cosines; otherwise they are plain products of embeddings and rows.
PLSC_HOST_DEVICE constexpr bool is_normalized(MarginKind kind) { return kind != MarginKind::softmax; }

/// phi(c) and d phi / d c.
struct MarginValue {
  float value;
  float slope;
};

/// Sine of the angle between 1 and the next smaller float. No smaller sine can be told from zero when the cosine is a
/// float, and it bounds the slope where the derivative of theta has its pole.
inline constexpr float kMinSine = 3.4526698e-4F;

/// Margin at cosine `cosine` (values past +-1 from rounding are taken as +-1). Finite for every finite input; NaN stays
/// NaN. For MarginKind::softmax the input is any logit and comes back unchanged.
PLSC_HOST_DEVICE inline MarginValue apply_margin(const MarginSpec& spec, float cosine) {
  if (!is_normalized(spec.kind)) return {cosine, 1.0F};
  const float c = cosine > 1.0F ? 1.0F : (cosine < -1.0F ? -1.0F : cosine);
  if (spec.kind == MarginKind::norm_softmax) return {c, 1.0F};
  if (spec.kind == MarginKind::cosface) return {c - spec.m3, 1.0F};

  const float square = (1.0F - c) * (1.0F + c);
  const float sine = std::sqrt(square > 0.0F ? square : square * 0.0F);  // NaN must stay NaN
  const float safe_sine = sine < kMinSine ? kMinSine : sine;
  if (spec.kind == MarginKind::arcface) {
    const float cos_m = std::cos(spec.m2);
    const float sin_m = std::sin(spec.m2);
    if (!spec.straight_through && c < -cos_m) return {c - spec.m2 * sin_m, 1.0F};  // theta + m2 > pi
    return {c * cos_m - sine * sin_m, spec.straight_through ? 1.0F : cos_m + c * sin_m / safe_sine};
  }
  const float theta = std::atan2(sine, c);
  const float angle = spec.m1 * theta + spec.m2;
  const float value = std::cos(angle) - spec.m3;
  if (spec.straight_through) return {value, 1.0F};
  const float safe_angle = spec.m1 * std::atan2(safe_sine, c) + spec.m2;  // keeps sin(m1 theta) / sin(theta) -> m1
  return {value, spec.m1 * std::sin(safe_angle) / safe_sine};
}

}  // namespace plsc::backend
