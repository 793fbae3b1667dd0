// The references themselves: their gradients are the central differences of their forward passes.

#include "support/reference_ops.h"

#include <catch2/catch.hpp>

#include "backend/tensors.h"

namespace plsc::test {

TEST_CASE("convolution references are gradients of each other", "[backend][reference]") {
  const auto kernel = GENERATE(1, 3);
  const auto stride = GENERATE(1, 2);
  const reference::ConvolutionSize size{{2, 3, kernel, stride, kernel / 2}, 2, 5, 4};
  const Values input = random_values(size.inputs(), 1);
  const Values weights = random_values(size.weights(), 2);
  const Values d_output = random_values(size.outputs(), 3);

  const Values by_input = reference::finite_differences(
      [&](const Values& x) { return reference::convolution(size, x, weights); }, input, d_output);
  const Values by_weights = reference::finite_differences(
      [&](const Values& w) { return reference::convolution(size, input, w); }, weights, d_output);

  REQUIRE(error_of(reference::convolution_backward_data(size, d_output, weights), by_input) <
          tolerance::kFiniteDifference);
  REQUIRE(error_of(reference::convolution_backward_weights(size, input, d_output), by_weights) <
          tolerance::kFiniteDifference);
}

TEST_CASE("batch norm reference gradients equal finite differences", "[backend][reference]") {
  const auto activation = GENERATE(backend::Activation::none, backend::Activation::relu, backend::Activation::prelu);
  const bool fixed = GENERATE(false, true);
  reference::BatchNormCase<double> c{{activation, true, 1e-5F}, 3, 2, 4, 2, {1.5, -0.7}, {0.2, 0.1}, {0.25, -0.4}};
  const std::size_t elements = c.batch * c.channels * c.spatial;
  const Values x = random_values(elements, 4);
  const Values residual = random_values(elements, 5);
  Values dy = random_values(elements, 6);
  for (std::size_t i = 0; i < elements; ++i) dy[i] = c.counts(i) ? dy[i] : 0;
  const auto given = reference::batch_statistics(c, random_values(elements, 7));
  const auto statistics = [&](const Values& values) { return fixed ? given : reference::batch_statistics(c, values); };

  const auto gradients = reference::batch_norm_backward(c, statistics(x), x, residual, dy, fixed);
  const auto differences = [&](const auto& f, const Values& at) { return reference::finite_differences(f, at, dy); };
  const auto forward = [&](const reference::BatchNormCase<double>& with) {
    return reference::batch_norm(with, statistics(x), x, residual);
  };
  const auto with_parameter = [&](Values reference::BatchNormCase<double>::*member) {
    return differences(
        [&](const Values& values) {
          auto changed = c;
          changed.*member = values;
          return forward(changed);
        },
        c.*member);
  };

  REQUIRE(error_of(gradients.d_input,
                   differences([&](const Values& v) { return reference::batch_norm(c, statistics(v), v, residual); },
                               x)) < tolerance::kFiniteDifference);
  REQUIRE(error_of(gradients.d_residual,
                   differences([&](const Values& v) { return reference::batch_norm(c, statistics(x), x, v); },
                               residual)) < tolerance::kFiniteDifference);
  REQUIRE(error_of(gradients.d_gamma, with_parameter(&reference::BatchNormCase<double>::gamma)) <
          tolerance::kFiniteDifference);
  REQUIRE(error_of(gradients.d_beta, with_parameter(&reference::BatchNormCase<double>::beta)) <
          tolerance::kFiniteDifference);
  if (activation == backend::Activation::prelu) {
    REQUIRE(error_of(gradients.d_slope, with_parameter(&reference::BatchNormCase<double>::slope)) <
            tolerance::kFiniteDifference);
  }
}

TEST_CASE("the product reference multiplies", "[backend][reference]") {
  const Values a{1, 2, 3, 4, 5, 6};     // [2, 3]
  const Values b{1, 0, 2, -1, 1, 1};    // [3, 2]
  const Values b_t{1, 2, 1, 0, -1, 1};  // [2, 3]
  const Values a_t{1, 4, 2, 5, 3, 6};   // [3, 2]

  REQUIRE(reference::product(a, false, b, false, 2, 3, 2) == Values{8, 1, 20, 1});
  REQUIRE(reference::product(a_t, true, b_t, true, 2, 3, 2) == Values{8, 1, 20, 1});
}

}  // namespace plsc::test
