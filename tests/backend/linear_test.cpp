#include "plsc/backend/linear.h"

#include <catch2/catch.hpp>

#include "backend/tensors.h"
#include "plsc/core/error.h"
#include "support/reference_ops.h"

namespace plsc::test {

namespace {

struct Case {
  Shape input;
  Layout layout;
  std::int64_t outputs;
  bool bias;
};

}  // namespace

TEST_CASE("linear layers equal the reference", "[backend][linear]") {
  const int threads = GENERATE(1, kTeam);
  const auto c = GENERATE(
      Case{Shape{3, 32, 4, 5}, Layout::blocked, 24, true}, Case{Shape{2, 20, 3, 3}, Layout::blocked, 17, false},
      Case{Shape{1, 3, 2, 2}, Layout::blocked, 1, true}, Case{Shape{4, 16, 1, 1}, Layout::blocked, 8, true},
      Case{Shape{5, 37}, Layout::plain, 11, true}, Case{Shape{2, 6, 3, 3}, Layout::plain, 7, true});
  const auto cpu = backend::make_cpu_backend({threads});
  const auto batch = static_cast<std::size_t>(c.input[0]);
  const auto in = static_cast<std::size_t>(c.input.elements()) / batch;
  const auto out = static_cast<std::size_t>(c.outputs);
  const auto linear = cpu->make_linear({static_cast<std::int64_t>(in), c.outputs, c.bias}, c.input, c.layout);
  const Values x = random_values(batch * in, 1);
  const Values w = random_values(out * in, 2);
  const Values b = random_values(out, 3);
  const Values dy = random_values(batch * out, 4);
  const Tensor input = make(*cpu, c.input, x, c.layout);
  const Tensor weights = make(*cpu, {c.outputs, static_cast<std::int64_t>(in)}, w);
  const Tensor bias = make(*cpu, {c.outputs}, b);
  const Tensor d_output = make(*cpu, {c.input[0], c.outputs}, dy);
  const Tensor output = poisoned(*cpu, {c.input[0], c.outputs});
  const Tensor d_input = poisoned(*cpu, c.input, c.layout);
  const Tensor d_weights = poisoned(*cpu, weights.shape());
  const Tensor d_bias = poisoned(*cpu, {c.outputs});
  Values expected = reference::product(x, false, w, true, batch, in, out);
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += c.bias ? b[i % out] : 0;
  Values expected_weights = reference::product(dy, true, x, false, out, batch, in);
  Values expected_bias(out, 0);
  for (std::size_t i = 0; i < dy.size(); ++i) expected_bias[i % out] += dy[i];

  linear->forward(input, {weights, 1}, c.bias ? &bias : nullptr, output);
  linear->backward_data(d_output, {weights, 1}, d_input);
  linear->backward_weights(input, d_output, d_weights, c.bias ? &d_bias : nullptr, false);

  CHECK(error_of(read(output), expected) < tolerance::kLinear);
  CHECK(error_of(read(d_input), reference::product(dy, false, w, false, batch, out, in)) < tolerance::kLinear);
  CHECK(padding_of(d_input) == 0);
  CHECK(error_of(read(d_weights), expected_weights) < tolerance::kLinear);
  if (c.bias) CHECK(error_of(read(d_bias), expected_bias) < tolerance::kLinear);

  linear->backward_weights(input, d_output, d_weights, c.bias ? &d_bias : nullptr, true);

  for (Values* values : {&expected_weights, &expected_bias}) {
    for (double& value : *values) value *= 2;
  }
  CHECK(error_of(read(d_weights), expected_weights) < tolerance::kLinear);
  if (c.bias) CHECK(error_of(read(d_bias), expected_bias) < tolerance::kLinear);
}

TEST_CASE("a linear layer sees changed weights at once", "[backend][linear]") {
  const auto cpu = backend::make_cpu_backend({});
  const auto linear = cpu->make_linear({4, 2, false}, {1, 4}, Layout::plain);
  const Tensor input = make(*cpu, {1, 4}, {1, 2, 3, 4});
  const Tensor weights = make(*cpu, {2, 4}, {1, 0, 0, 0, 0, 1, 0, 0});
  const Tensor output = poisoned(*cpu, {1, 2});

  linear->forward(input, {weights, 1}, nullptr, output);
  const Values first = read(output);
  write(weights, {0, 0, 1, 0, 0, 0, 0, 1});
  linear->forward(input, {weights, 2}, nullptr, output);

  CHECK(first == Values{1, 2});
  CHECK(read(output) == Values{3, 4});
}

TEST_CASE("a linear layer refuses another number of inputs", "[backend][linear]") {
  const auto cpu = backend::make_cpu_backend({});

  CHECK_THROWS_WITH(cpu->make_linear({100, 8, true}, {2, 16, 3, 3}, Layout::blocked),
                    Catch::Contains("100 inputs") && Catch::Contains("144 values a sample"));
  CHECK_THROWS_WITH(cpu->make_linear({100, -8, true}, {2, 100}, Layout::plain),
                    Catch::Contains("oneDNN cannot plan") && Catch::Contains("100 -> -8"));
}

}  // namespace plsc::test
