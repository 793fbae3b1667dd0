#include "plsc/backend/convolution.h"

#include <catch2/catch.hpp>

#include "backend/tensors.h"
#include "plsc/core/error.h"
#include "support/reference_ops.h"

namespace plsc::test {

namespace {

using backend::Backend;
using backend::ConvolutionChoice;
using reference::ConvolutionSize;

struct Case {
  const char* name;
  ConvolutionSize size;
  Layout input;
};

// in_channels, out_channels, kernel, stride, padding | batch, height, width
const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"3x3", {{32, 32, 3, 1, 1}, 2, 14, 14}, Layout::blocked},
      {"3x3, odd size, one image", {{16, 48, 3, 1, 1}, 1, 7, 9}, Layout::blocked},
      {"3x3, channels beside the block", {{20, 36, 3, 1, 1}, 2, 9, 9}, Layout::blocked},
      {"3x3, few channels in a block", {{3, 5, 3, 1, 1}, 2, 6, 6}, Layout::blocked},
      {"3x3 stride 2", {{32, 64, 3, 2, 1}, 2, 14, 14}, Layout::blocked},
      {"3x3 stride 2, odd size", {{20, 24, 3, 2, 1}, 3, 9, 7}, Layout::blocked},
      {"1x1 stride 2", {{32, 64, 1, 2, 0}, 2, 14, 14}, Layout::blocked},
      {"1x1 stride 2, odd size", {{20, 36, 1, 2, 0}, 2, 9, 7}, Layout::blocked},
      {"1x1 on one pixel", {{32, 16, 1, 1, 0}, 2, 1, 1}, Layout::blocked},
      {"3x3 on one pixel", {{16, 16, 3, 1, 1}, 3, 1, 1}, Layout::blocked},
      {"3x3 without padding", {{16, 16, 3, 1, 0}, 2, 8, 8}, Layout::blocked},
      {"stem", {{3, 32, 3, 1, 1}, 2, 11, 10}, Layout::plain},
      {"stem stride 2", {{3, 20, 3, 2, 1}, 2, 11, 11}, Layout::plain},
      {"gray stem, 7x7", {{1, 16, 7, 2, 3}, 1, 28, 28}, Layout::plain},
  };
  return all;
}

Shape input_shape(const ConvolutionSize& size) { return {size.batch, size.spec.in_channels, size.height, size.width}; }
Shape output_shape(const ConvolutionSize& size) {
  return {size.batch, size.spec.out_channels, size.out_height(), size.out_width()};
}
Shape weight_shape(const ConvolutionSize& size) {
  return {size.spec.out_channels, size.spec.in_channels, size.spec.kernel, size.spec.kernel};
}

std::unique_ptr<Backend> make_backend(int threads, ConvolutionChoice choice) {
  return backend::make_cpu_backend({threads, choice});
}

void check_case(const Case& tried, int threads, ConvolutionChoice choice, double limit) {
  INFO(tried.name << ", " << threads << " threads");
  const ConvolutionSize& size = tried.size;
  const auto cpu = make_backend(threads, choice);
  const auto convolution = cpu->make_convolution(size.spec, input_shape(size));
  const Values x = random_values(size.inputs(), 1);
  const Values w = random_values(size.weights(), 2, 0, 0.2);
  const Values dy = random_values(size.outputs(), 3);
  const Tensor input = make(*cpu, input_shape(size), x, tried.input);
  const Tensor weights = make(*cpu, weight_shape(size), w);
  const Tensor d_output = make(*cpu, output_shape(size), dy, Layout::blocked);
  const Tensor output = poisoned(*cpu, output_shape(size), Layout::blocked);
  const Tensor d_input = poisoned(*cpu, input_shape(size), tried.input);
  const Tensor d_weights = poisoned(*cpu, weight_shape(size));
  const Values expected_weights = reference::convolution_backward_weights(size, x, dy);

  convolution->forward(input, {weights, 1}, output);
  convolution->backward_data(d_output, {weights, 1}, d_input);
  convolution->backward_weights(input, d_output, d_weights, false);

  REQUIRE(convolution->output_shape() == output_shape(size));
  CHECK(error_of(read(output), reference::convolution(size, x, w)) < limit);
  CHECK(error_of(read(d_input), reference::convolution_backward_data(size, dy, w)) < limit);
  CHECK(error_of(read(d_weights), expected_weights) < limit);
  CHECK(padding_of(output) == 0);
  CHECK(padding_of(d_input) == 0);

  convolution->backward_weights(input, d_output, d_weights, true);

  Values twice = expected_weights;
  for (double& value : twice) value *= 2;
  CHECK(error_of(read(d_weights), twice) < limit);
}

std::string error_text(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("direct convolutions equal the reference", "[backend][convolution]") {
  const int threads = GENERATE(1, kTeam);

  for (const Case& tried : cases()) {
    check_case(tried, threads, ConvolutionChoice::direct, tolerance::kConvolutionDirect);
  }
}

TEST_CASE("Winograd convolutions equal the reference, direct ones where there are none", "[backend][convolution]") {
  const int threads = GENERATE(1, kTeam);

  for (const Case& tried : cases()) {
    check_case(tried, threads, ConvolutionChoice::winograd, tolerance::kConvolutionWinograd);
  }
}

TEST_CASE("reordered weights follow their version", "[backend][convolution]") {
  const ConvolutionSize size{{16, 32, 3, 1, 1}, 1, 6, 6};
  const auto cpu = make_backend(1, ConvolutionChoice::direct);
  const auto convolution = cpu->make_convolution(size.spec, input_shape(size));
  const Values x = random_values(size.inputs(), 1);
  const Values first = random_values(size.weights(), 2);
  const Values second = random_values(size.weights(), 3);
  const Tensor input = make(*cpu, input_shape(size), x, Layout::blocked);
  const Tensor weights = make(*cpu, weight_shape(size), first);
  const Tensor other_weights = make(*cpu, weight_shape(size), second);
  const Tensor output = poisoned(*cpu, output_shape(size), Layout::blocked);
  const Tensor d_input = poisoned(*cpu, input_shape(size), Layout::blocked);
  const Tensor d_output = make(*cpu, output_shape(size), random_values(size.outputs(), 4), Layout::blocked);
  const auto expect = [&](const Values& w) {
    CHECK(error_of(read(output), reference::convolution(size, x, w)) < tolerance::kConvolutionDirect);
    CHECK(error_of(read(d_input), reference::convolution_backward_data(size, read(d_output), w)) <
          tolerance::kConvolutionDirect);
  };
  const auto run = [&](const Tensor& with, std::uint64_t version) {
    convolution->forward(input, {with, version}, output);
    convolution->backward_data(d_output, {with, version}, d_input);
  };

  run(weights, 7);
  expect(first);
  write(weights, second);
  run(weights, 8);
  expect(second);
  write(weights, first);
  run(weights, 7);
  expect(first);
  run(other_weights, 7);
  expect(second);
}

TEST_CASE("automatic choices are recorded, and given ones are used", "[backend][convolution]") {
  const ConvolutionSize size{{32, 32, 3, 1, 1}, 1, 8, 8};
  const auto cpu = make_backend(1, ConvolutionChoice::automatic);
  const Values x = random_values(size.inputs(), 1);
  const Values w = random_values(size.weights(), 2);
  const auto forward = [&](Backend& on) {
    const auto convolution = on.make_convolution(size.spec, input_shape(size));
    convolution->prepare(Layout::blocked, true);
    const Tensor output = poisoned(on, output_shape(size), Layout::blocked);
    const Tensor weights = make(on, weight_shape(size), w);
    convolution->forward(make(on, input_shape(size), x, Layout::blocked), {weights, 0}, output);
    return output;
  };
  const Tensor automatic = forward(*cpu);
  const backend::TunedChoices choices = cpu->tuned_choices();
  CHECK(error_of(read(automatic), reference::convolution(size, x, w)) < tolerance::kConvolutionWinograd);
  if (choices.empty()) {
    WARN("no Winograd convolution on this machine: nothing to choose");
    return;
  }

  CHECK(choices.size() == 3);
  CHECK(choices.count("conv_forward 1x32x8x8 32 k3 s1 p1 t1") == 1);
  CHECK(choices.count("conv_backward_data 1x32x8x8 32 k3 s1 p1 t1") == 1);
  CHECK(choices.count("conv_backward_weights 1x32x8x8 32 k3 s1 p1 t1") == 1);

  for (const auto& [variant, choice] :
       {std::pair{"direct", ConvolutionChoice::direct}, std::pair{"winograd", ConvolutionChoice::winograd}}) {
    const auto tuned = make_backend(1, ConvolutionChoice::automatic);
    const auto fixed = make_backend(1, choice);
    tuned->set_tuned_choices({{"conv_forward 1x32x8x8 32 k3 s1 p1 t1", variant}});
    CHECK(same_bits(forward(*tuned), forward(*fixed)));
    CHECK(fixed->tuned_choices().empty());
  }
  const auto direct = make_backend(1, ConvolutionChoice::direct);
  const auto winograd = make_backend(1, ConvolutionChoice::winograd);
  CHECK_FALSE(same_bits(forward(*direct), forward(*winograd)));
}

TEST_CASE("a convolution follows the layout of its input", "[backend][convolution]") {
  const ConvolutionSize size{{3, 16, 3, 1, 1}, 1, 6, 6};
  const auto cpu = make_backend(1, ConvolutionChoice::direct);
  const auto convolution = cpu->make_convolution(size.spec, input_shape(size));
  const Values x = random_values(size.inputs(), 1);
  const Values w = random_values(size.weights(), 2);
  const Tensor weights = make(*cpu, weight_shape(size), w);

  for (const Layout layout : {Layout::plain, Layout::blocked, Layout::plain}) {
    const Tensor output = poisoned(*cpu, output_shape(size), Layout::blocked);
    convolution->forward(make(*cpu, input_shape(size), x, layout), {weights, 1}, output);
    CHECK(error_of(read(output), reference::convolution(size, x, w)) < tolerance::kConvolutionDirect);
  }
}

TEST_CASE("impossible convolutions are refused", "[backend][convolution]") {
  const auto cpu = make_backend(1, ConvolutionChoice::automatic);

  const std::string too_small = error_text([&] { cpu->make_convolution({3, 16, 3, 1, 0}, {1, 3, 2, 2}); });
  const std::string mismatch = error_text([&] {
    cpu->make_convolution({16, 32, 1, 1, 0}, {1, 8, 4, 4})->prepare(Layout::blocked, false);
  });

  CHECK_THAT(too_small, Catch::Contains("no output") && Catch::Contains("[1, 3, 2, 2]"));
  CHECK_THAT(mismatch, Catch::Contains("oneDNN cannot plan") && Catch::Contains("16 -> 32"));
}

TEST_CASE("an unknown tuned variant is refused", "[backend][convolution]") {
  const auto cpu = make_backend(1, ConvolutionChoice::automatic);
  cpu->set_tuned_choices({{"conv_forward 1x32x8x8 32 k3 s1 p1 t1", "fft"}});
  const auto convolution = cpu->make_convolution({32, 32, 3, 1, 1}, {1, 32, 8, 8});

  const std::string text = error_text([&] { convolution->prepare(Layout::blocked, false); });

  if (cpu->channel_block() == 16) CHECK_THAT(text, Catch::Contains("unknown variant 'fft'"));
}

}  // namespace plsc::test
