// Stateless operations of the backend: against loops in double, bitwise equal for any thread count.

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "backend/every_target.h"
#include "backend/tensors.h"

namespace plsc::test {

namespace {

using backend::Backend;
using backend::ParameterSegment;
using backend::StepState;

constexpr std::int64_t kSizes[] = {1, 15, 17, 1000, 70001};  // tails of every kind; the last spans several pieces

std::unique_ptr<Backend> make_backend(int threads) { return backend::make_cpu_backend({threads}); }

Tensor make_state(Backend& cpu, const StepState& state) {
  Tensor tensor = backend::make_step_state(cpu.memory());
  std::memcpy(tensor.raw(), &state, sizeof(state));
  return tensor;
}

StepState read_state(const Tensor& tensor) {
  StepState state;
  std::memcpy(&state, tensor.raw(), sizeof(state));
  return state;
}

Tensor random_tensor(Backend& cpu, std::int64_t size, std::uint64_t seed) {
  return make(cpu, {size}, random_values(static_cast<std::size_t>(size), seed));
}

Tensor random_pixels(Backend& cpu, const Shape& shape) {
  Tensor images = cpu.tensor(shape, DType::u8);
  CounterRng rng(3, RandomPurpose::test, 0);
  for (std::uint8_t& pixel : images.host_span<std::uint8_t>()) pixel = static_cast<std::uint8_t>(rng.below(256));
  return images;
}

double squares_of(Backend& cpu, const Tensor& values) {
  const Tensor result = cpu.tensor({1}, DType::f64);
  cpu.sum_of_squares(values, result);
  return result.data<double>()[0];
}

}  // namespace

TEST_CASE("fill, copy, add and scale", "[backend][elementwise]") {
  on_every_target([] {
    const auto cpu = make_backend(kTeam);
    for (const std::int64_t size : kSizes) {
      const Tensor a = random_tensor(*cpu, size, 1);
      const Tensor b = random_tensor(*cpu, size, 2);
      const Tensor c = poisoned(*cpu, {size});
      Values sum = read(a);
      const Values other = read(b);
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = static_cast<float>(sum[i] + other[i]);
      Values scaled = other;
      for (double& value : scaled) value *= -0.5;

      cpu->copy(a, c);
      CHECK(same_bits(a, c));
      cpu->add(b, c);
      CHECK(read(c) == sum);
      cpu->scale(b, -0.5F);
      CHECK(read(b) == scaled);
      cpu->fill(b, 1.25F);
      CHECK(read(b) == Values(sum.size(), 1.25));
    }
  });
}

TEST_CASE("bytes go to the backend and back", "[backend][elementwise]") {
  const auto cpu = make_backend(kTeam);
  const Tensor source = random_pixels(*cpu, {3, 7, 11, 13});
  const Tensor target = cpu->tensor(source.shape(), DType::u8);
  std::vector<std::byte> host(source.bytes());

  cpu->copy_to_host(source, host);
  cpu->copy_from_host(host, target);

  CHECK(std::memcmp(source.raw(), target.raw(), source.bytes()) == 0);
}

TEST_CASE("images are normalised as PyTorch does it", "[backend][elementwise]") {
  on_every_target([] {
    const auto cpu = make_backend(kTeam);
    for (const float divisor : {127.5F, 128.0F}) {
      const Tensor images = random_pixels(*cpu, {2, 3, 9, 7});
      const Tensor output = poisoned(*cpu, images.shape());
      Values expected;
      for (const std::uint8_t x : images.host_span<std::uint8_t>()) expected.push_back((x - 127.5F) / divisor);

      cpu->normalize_images(images, divisor, output);

      CHECK(read(output) == expected);
    }
  });
}

TEST_CASE("images are mirrored left to right", "[backend][elementwise]") {
  const auto cpu = make_backend(kTeam);
  const Tensor images = random_pixels(*cpu, {2, 3, 5, 7});
  const Tensor output = cpu->tensor(images.shape(), DType::u8);

  cpu->flip_images(images, output);

  const auto from = images.host_span<std::uint8_t>();
  const auto to = output.host_span<std::uint8_t>();
  for (std::size_t row = 0; row < 30; ++row) {
    for (std::size_t x = 0; x < 7; ++x) REQUIRE(to[row * 7 + x] == from[row * 7 + 6 - x]);
  }
}

TEST_CASE("sums of squares are accurate and do not depend on threads", "[backend][elementwise]") {
  on_every_target([] {
    const auto one = make_backend(1);
    const auto two = make_backend(kTeam);
    for (const std::int64_t size : kSizes) {
      const Tensor values = random_tensor(*one, size, 5);
      double expected = 0;
      for (const double value : read(values)) expected += value * value;

      const double sum = squares_of(*one, values);

      CHECK(std::abs(sum - expected) < 1e-12 * expected);
      CHECK(sum == squares_of(*two, values));
    }
  });
}

TEST_CASE("clipping follows PyTorch and finds numbers that are none", "[backend][elementwise]") {
  const auto cpu = make_backend(1);
  const auto clip = [&](double squares, float limit, float scale) {
    const Tensor sum = cpu->tensor({1}, DType::f64);
    *sum.data<double>() = squares;
    const Tensor state = make_state(*cpu, {0.1F, 0.2F, scale, 0, 7});
    cpu->clip_scale(sum, limit, state);
    return read_state(state);
  };

  CHECK(clip(25, 1, 1).gradient_scale == Approx(1.0 / (5.0 + 1e-6)));
  CHECK(clip(25, 10, 1).gradient_scale == 1.0F);
  CHECK(clip(25, 0, 1).gradient_scale == 1.0F);
  CHECK(clip(0, 1, 1).gradient_scale == 1.0F);
  CHECK(clip(25e6, 1, 1e-3F).gradient_scale == Approx(1e-3 / 5.0));  // the norm after unscaling counts
  CHECK(clip(25, 1, 1).skip == 0);
  CHECK(clip(std::numeric_limits<double>::infinity(), 1, 1).skip == 1);
  CHECK(clip(std::nan(""), 0, 1).skip == 1);
  CHECK(clip(std::nan(""), 0, 1).gradient_scale == 1.0F);
  CHECK(clip(25, 1, 1).learning_rate == 0.1F);
  CHECK(clip(25, 1, 1).step == 7);
}

TEST_CASE("SGD follows PyTorch's form over segments", "[backend][elementwise]") {
  const bool nesterov = GENERATE(false, true);
  on_every_target([&] {
    const auto cpu = make_backend(1);
    constexpr std::int64_t kSize = 1003;
    const std::vector<ParameterSegment> segments{{0, 500, 0.01F}, {503, 3, 0.0F}, {507, 496, 0.1F}};
    const Tensor values = random_tensor(*cpu, kSize, 1);
    const Tensor momentum = cpu->tensor({kSize});
    cpu->fill(momentum, 0);
    Values w = read(values);
    Values v(w.size(), 0);
    const double mu = 0.9F;

    for (const double rate : {0.5F, 0.25F}) {
      const Tensor gradients = random_tensor(*cpu, kSize, static_cast<std::uint64_t>(rate * 100));
      const Tensor state = make_state(*cpu, {static_cast<float>(rate), 0, 0.125F, 0, 0});
      const Values g = read(gradients);
      cpu->sgd_update(values, gradients, momentum, segments, {0.9F, nesterov}, state);
      for (const ParameterSegment& segment : segments) {
        for (std::size_t i = segment.begin; i < segment.begin + segment.size; ++i) {
          const double gradient = 0.125 * g[i] + static_cast<double>(segment.weight_decay) * w[i];
          v[i] = mu * v[i] + gradient;
          w[i] -= rate * (nesterov ? gradient + mu * v[i] : v[i]);
        }
      }
    }

    CHECK(error_of(read(values), w) < tolerance::kElementwise);
    CHECK(error_of(read(momentum), v) < tolerance::kElementwise);
    CHECK(read(values)[501] == w[501]);  // between segments
  });
}

TEST_CASE("SGD changes nothing when the step is skipped, and the same bits on any team", "[backend][elementwise]") {
  constexpr std::int64_t kSize = 100003;
  const std::vector<ParameterSegment> segments{{0, kSize, 0.01F}};
  const auto update = [&](int threads, std::int32_t skip) {
    const auto cpu = make_backend(threads);
    const Tensor values = random_tensor(*cpu, kSize, 1);
    const Tensor gradients = random_tensor(*cpu, kSize, 2);
    const Tensor momentum = random_tensor(*cpu, kSize, 3);
    cpu->sgd_update(values, gradients, momentum, segments, {}, make_state(*cpu, {0.1F, 0, 1, skip, 0}));
    return std::pair{read(values), read(momentum)};
  };
  const auto before = std::pair{random_values(kSize, 1), random_values(kSize, 3)};

  CHECK(update(1, 1) == before);
  CHECK(update(1, 0) != before);
  CHECK(update(1, 0) == update(kTeam, 0));
}

}  // namespace plsc::test
