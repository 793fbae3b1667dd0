#pragma once
// The one table of tolerances for backend operations against references in double. An error is the largest absolute
// difference divided by the root mean square of the expected values, so that it means the same for every size.

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace plsc::test {

namespace tolerance {
inline constexpr double kConvolutionDirect = 2e-5;    ///< sums of up to some thousand products in f32
inline constexpr double kConvolutionWinograd = 2e-4;  ///< F(4x4, 3x3) transforms lose about one digit
inline constexpr double kLinear = 2e-5;
inline constexpr double kBatchNorm = 1e-5;
inline constexpr double kBatchNormFarMean = 3e-4;  ///< mean 1000 deviations from zero: inputs themselves have 6e-5
inline constexpr double kElementwise = 1e-6;
inline constexpr double kExact = 0;
inline constexpr double kFiniteDifference = 1e-6;  ///< double references against their own central differences
}  // namespace tolerance

using Values = std::vector<double>;

/// The error of `actual`, as defined above; infinite where sizes differ or a value is not finite.
inline double error_of(const Values& actual, const Values& expected) {
  if (actual.size() != expected.size()) return INFINITY;
  double squares = 0;
  double worst = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!std::isfinite(actual[i])) return INFINITY;
    squares += expected[i] * expected[i];
    worst = std::fmax(worst, std::abs(actual[i] - expected[i]));
  }
  const double size = std::sqrt(squares / static_cast<double>(expected.size()));
  return worst == 0 ? 0 : worst / std::fmax(size, 1e-30);
}

}  // namespace plsc::test
