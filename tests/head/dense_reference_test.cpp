#include "head/dense_reference.h"

#include <catch2/catch.hpp>

#include "head/head_run.h"

namespace plsc::test {

namespace {

/// Largest difference between `analytic` and central differences of the loss by `values`, relative to the gradients'
/// size.
double difference_error(const DenseHead& head, const Values& x, const std::vector<std::int64_t>& labels, int which) {
  constexpr double kStep = 1e-5;
  const DenseResult at = head.forward_backward(x, labels);
  const Values& analytic = which == 0 ? at.d_x : (which == 1 ? at.d_weight : at.d_bias);
  Values numeric;
  for (std::size_t i = 0; i < analytic.size(); ++i) {
    const auto loss_at = [&](double offset) {
      DenseHead moved = head;
      Values moved_x = x;
      (which == 0 ? moved_x : (which == 1 ? moved.weight : moved.bias))[i] += offset;
      return moved.forward_backward(moved_x, labels).loss;
    };
    numeric.push_back((loss_at(kStep) - loss_at(-kStep)) / (2 * kStep));
  }
  return error_of(analytic, numeric);
}

}  // namespace

TEST_CASE("the dense reference's gradients equal finite differences", "[head][reference]") {
  const auto loss = GENERATE(config::Loss::softmax, config::Loss::norm_softmax, config::Loss::arcface,
                             config::Loss::cosface, config::Loss::combined);
  HeadCase c{head_config(loss), 7, 5};
  c.head.bias = loss == config::Loss::softmax;
  const HeadStep step = random_step(c, 6, 3);
  std::vector<std::int64_t> labels = step.labels;
  labels[2] = -1;
  DenseHead head(c.head, 7, 5, initial_rows(c));
  for (std::size_t i = 0; i < head.bias.size(); ++i) head.bias[i] = 0.1 * static_cast<double>(i);

  const double error_x = difference_error(head, step.x, labels, 0);
  const double error_rows = difference_error(head, step.x, labels, 1);

  CHECK(error_x < tolerance::kFiniteDifference);
  CHECK(error_rows < tolerance::kFiniteDifference);
  if (c.head.bias) CHECK(difference_error(head, step.x, labels, 2) < tolerance::kFiniteDifference);
}

TEST_CASE("the reference's arcface continues past pi with slope 1", "[head][reference]") {
  const config::HeadConfig head = head_config(config::Loss::arcface);

  const DenseMargin past = dense_margin(head, -0.95);

  CHECK(past.value == Approx(-0.95 - 0.5 * std::sin(0.5)));
  CHECK(past.slope == 1);
}

}  // namespace plsc::test
