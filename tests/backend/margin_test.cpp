#include "plsc/backend/margin.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

namespace plsc::backend {

namespace {

const MarginSpec kArcface{MarginKind::arcface, 1, 0.5F, 0, false};
const MarginSpec kCombined{MarginKind::combined, 0.9F, 0.4F, 0.15F, false};

/// phi in double, without the continuation past pi.
double phi(const MarginSpec& spec, double c) {
  if (spec.kind == MarginKind::norm_softmax) return c;
  if (spec.kind == MarginKind::cosface) return c - static_cast<double>(spec.m3);
  return std::cos(static_cast<double>(spec.m1) * std::acos(c) + static_cast<double>(spec.m2)) -
         static_cast<double>(spec.m3);
}

double slope_of(const MarginSpec& spec, double c) {
  constexpr double kStep = 1e-6;
  return (phi(spec, c + kStep) - phi(spec, c - kStep)) / (2 * kStep);
}

}  // namespace

TEST_CASE("margins and their slopes equal the formulas in double", "[backend][margin]") {
  const auto spec =
      GENERATE(MarginSpec{MarginKind::norm_softmax}, kArcface, MarginSpec{MarginKind::cosface, 1, 0, 0.35F}, kCombined,
               MarginSpec{MarginKind::combined, 1.35F, 0, 0}, MarginSpec{MarginKind::combined, 1, 0, 0.4F},
               MarginSpec{MarginKind::combined, 1, 0.3F, 0.2F});
  for (const float c : {-0.87F, -0.5F, -0.1F, 0.0F, 0.3F, 0.7F, 0.95F, 0.999F}) {
    INFO("cosine " << c);

    const MarginValue margin = apply_margin(spec, c);

    CHECK(margin.value == Approx(phi(spec, static_cast<double>(c))).margin(1e-6));
    CHECK(margin.slope == Approx(slope_of(spec, static_cast<double>(c))).epsilon(2e-5));
  }
}

TEST_CASE("arcface continues past theta + m = pi", "[backend][margin]") {
  const float threshold = std::cos(static_cast<float>(M_PI) - 0.5F);

  const MarginValue past = apply_margin(kArcface, threshold - 1e-3F);
  const MarginValue before = apply_margin(kArcface, threshold + 1e-3F);

  CHECK(past.value == Approx(threshold - 1e-3F - 0.5F * std::sin(0.5F)));
  CHECK(past.slope == 1.0F);
  CHECK(before.value == Approx(-1.0).margin(1e-5));
  CHECK(std::abs(before.slope) < 0.01F);
}

TEST_CASE("straight-through keeps the margin's value with slope 1 and no continuation", "[backend][margin]") {
  MarginSpec arcface = kArcface;
  arcface.straight_through = true;
  MarginSpec combined = kCombined;
  combined.straight_through = true;

  for (const float c : {-0.99F, -0.4F, 0.6F}) {
    const double theta = std::acos(static_cast<double>(c));
    CHECK(apply_margin(arcface, c).value == Approx(std::cos(theta + 0.5)).margin(1e-6));
    CHECK(apply_margin(arcface, c).slope == 1.0F);
    CHECK(apply_margin(combined, c).value == Approx(std::cos(0.9 * theta + 0.4) - 0.15).margin(1e-6));
    CHECK(apply_margin(combined, c).slope == 1.0F);
  }
}

TEST_CASE("margins are finite at and past cosines of one", "[backend][margin]") {
  const auto kind = GENERATE(MarginKind::norm_softmax, MarginKind::arcface, MarginKind::cosface, MarginKind::combined);
  const bool straight_through = GENERATE(false, true);
  const MarginSpec spec{kind, 1.2F, 0.5F, 0.3F, straight_through};

  for (const float c :
       {1.0F, -1.0F, 1.0000002F, -1.0000002F, 1.5F, std::nextafter(1.0F, 0.0F), -std::nextafter(1.0F, 0.0F), 0.0F}) {
    INFO("cosine " << c);
    const MarginValue margin = apply_margin(spec, c);
    CHECK(std::isfinite(margin.value));
    CHECK(std::abs(margin.value) < 3);
    CHECK(std::isfinite(margin.slope));
    CHECK(std::abs(margin.slope) <= 1.2F / kMinSine * 1.001F);
  }
  CHECK(apply_margin(spec, 1.5F).value == apply_margin(spec, 1.0F).value);
}

TEST_CASE("a NaN cosine stays NaN, and plain softmax takes any logit", "[backend][margin]") {
  const auto kind = GENERATE(MarginKind::softmax, MarginKind::norm_softmax, MarginKind::arcface, MarginKind::cosface,
                             MarginKind::combined);
  const MarginSpec spec{kind, 1, 0.5F, 0.1F, false};

  CHECK(std::isnan(apply_margin(spec, std::numeric_limits<float>::quiet_NaN()).value));
  if (kind == MarginKind::softmax) {
    CHECK(apply_margin(spec, 42.5F).value == 42.5F);
    CHECK(apply_margin(spec, 42.5F).slope == 1.0F);
  }
}

}  // namespace plsc::backend
