#include "plsc/backend/batch_norm.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "backend/every_target.h"
#include "backend/tensors.h"
#include "plsc/core/error.h"
#include "support/reference_ops.h"

namespace plsc::test {

namespace {

using backend::Activation;
using backend::Backend;
using backend::BatchNormSpec;
using reference::BatchNormCase;

struct Data {
  Shape shape;
  int block;  // 8, 16; 1: plain [N, C]
  BatchNormCase<double> c;
  Values x, residual, dy;  // residual empty where there is none
};

Data make_data(const Shape& shape, int block, const BatchNormSpec& spec, std::int64_t valid, double mean = 0.3) {
  const auto channels = static_cast<std::size_t>(shape[1]);
  const auto elements = static_cast<std::size_t>(shape.elements());
  const auto batch = static_cast<std::size_t>(shape[0]);
  Data data{shape, block, {}, {}, {}, {}};
  data.c = {spec,
            batch,
            channels,
            elements / batch / channels,
            static_cast<std::size_t>(valid),
            random_values(channels, 11, 1, 0.3),
            random_values(channels, 12),
            random_values(channels, 13, 0.25, 0.1)};
  data.x = random_values(elements, 14, mean, 1);
  if (spec.residual) data.residual = random_values(elements, 15);
  data.dy = random_values(elements, 16);
  return data;
}

/// The tensors of one BatchNorm on one backend, and the calls in order.
struct Run {
  Run(Backend& cpu, const Data& data)
      : cpu(cpu),
        data(data),
        valid(static_cast<std::int64_t>(data.c.valid)),
        norm(cpu.make_batch_norm(data.c.spec, data.shape)),
        x(tensor(data.x)),
        dy(tensor(data.dy)),
        y(tensor({})),
        dx(tensor({})),
        gamma(channels(data.c.gamma)),
        beta(channels(data.c.beta)),
        slope(channels(data.c.slope)),
        running_mean(channels(Values(data.c.channels, 0.5))),
        running_var(channels(Values(data.c.channels, 2.0))),
        folded(poisoned(cpu, {4, data.shape[1]})),
        moments(cpu.tensor({3, data.shape[1]}, DType::f64)),
        sums(cpu.tensor({3, data.shape[1]}, DType::f64)) {
    if (data.residual.empty()) return;
    residual = tensor(data.residual);
    d_residual = tensor({});
  }

  Tensor tensor(const Values& values) const {
    Tensor out = data.block == 1 ? cpu.tensor(data.shape)
                                 : Tensor(cpu.memory(), data.shape, DType::f32, Layout::blocked, data.block);
    std::memset(out.raw(), 0xff, out.bytes());
    if (!values.empty()) write(out, values);
    return out;
  }
  Tensor channels(const Values& values) const { return make(cpu, {data.shape[1]}, values); }

  void forward() {
    norm->local_moments(x, valid, moments);
    norm->fold(moments, 1, gamma, beta, running_mean, running_var, 0.1F, folded);
    norm->apply(x, residual, folded, slope, y);
  }
  void backward(double count) {
    norm->backward_sums(x, residual, dy, folded, slope, valid, sums);
    norm->backward_apply(x, residual, dy, folded, slope, sums, 1, count, valid, dx, d_residual);
  }

  Backend& cpu;
  const Data& data;
  std::int64_t valid;
  std::unique_ptr<backend::BatchNorm> norm;
  Tensor x, dy, y, dx, gamma, beta, slope, running_mean, running_var, folded, moments, sums, residual, d_residual;
};

void check_forward(const Run& run, double limit) {
  const auto& c = run.data.c;
  const auto s = reference::batch_statistics(c, run.data.x);
  Values mean(c.channels);
  Values var(c.channels);
  const double n = c.count();
  for (std::size_t k = 0; k < c.channels; ++k) {
    mean[k] = 0.9 * 0.5 + 0.1 * s.mean[k];
    var[k] = 0.9 * 2.0 + 0.1 * s.variance[k] * n / std::max(n - 1, 1.0);
  }
  CHECK(error_of(read(run.y), reference::batch_norm(c, s, run.data.x, run.data.residual)) < limit);
  CHECK(error_of(read(run.running_mean), mean) < tolerance::kBatchNorm);
  CHECK(error_of(read(run.running_var), var) < tolerance::kBatchNorm);
  CHECK(padding_of(run.y) == 0);
}

void check_backward(const Run& run, const reference::Statistics<double>& s, bool fixed, double limit) {
  const auto& c = run.data.c;
  const auto expected = reference::batch_norm_backward(c, s, run.data.x, run.data.residual, run.data.dy, fixed);
  CHECK(error_of(read(run.dx), expected.d_input) < limit);
  CHECK(padding_of(run.dx) == 0);
  if (run.d_residual.defined()) {
    CHECK(error_of(read(run.d_residual), expected.d_residual) < limit);
    CHECK(padding_of(run.d_residual) == 0);
  }
  const Tensor d_gamma = run.channels(Values(c.channels, 0.5));
  const Tensor d_beta = run.channels(Values(c.channels, 0.5));
  const Tensor d_slope = run.channels(Values(c.channels, 0.5));
  run.norm->add_parameter_gradients(run.sums, d_gamma, d_beta,
                                    c.spec.activation == Activation::prelu ? d_slope : Tensor());
  const auto check_added = [&](const Tensor& actual, Values wanted) {
    for (double& value : wanted) value += 0.5;
    CHECK(error_of(read(actual), wanted) < limit);
  };
  check_added(d_gamma, expected.d_gamma);
  check_added(d_beta, expected.d_beta);
  check_added(d_slope, c.spec.activation == Activation::prelu ? expected.d_slope : Values(c.channels, 0));
}

struct Geometry {
  Shape shape;
  int block;
  std::int64_t valid;
};

const std::vector<Geometry>& geometries() {
  static const std::vector<Geometry> all{
      {{3, 32, 7, 5}, 16, 3}, {{3, 32, 7, 5}, 16, 2}, {{2, 20, 3, 3}, 16, 2}, {{2, 20, 3, 3}, 8, 1},
      {{1, 3, 20, 20}, 8, 1}, {{4, 16, 1, 1}, 16, 3}, {{6, 37}, 1, 6},        {{5, 16}, 1, 4},
  };
  return all;
}

}  // namespace

TEST_CASE("batch norm with every activation equals the reference", "[backend][batch_norm]") {
  const auto activation = GENERATE(Activation::none, Activation::relu, Activation::prelu);
  const bool residual = GENERATE(false, true);
  on_every_target([&] {
    const auto cpu = backend::make_cpu_backend({kTeam});
    for (const Geometry& g : geometries()) {
      INFO(g.shape.text() << " block " << g.block << " valid " << g.valid);
      const Data data = make_data(g.shape, g.block, {activation, residual, 1e-5F}, g.valid);
      Run run(*cpu, data);

      run.forward();
      run.backward(data.c.count());

      check_forward(run, tolerance::kBatchNorm);
      check_backward(run, reference::batch_statistics(data.c, data.x), false, tolerance::kBatchNorm);
    }
  });
}

TEST_CASE("batch norm with fixed statistics", "[backend][batch_norm]") {
  const auto cpu = backend::make_cpu_backend({1});
  const Data data = make_data({3, 20, 4, 4}, 16, {Activation::prelu, true, 1e-5F}, 2);
  const reference::Statistics<double> s{Values(20, 0.5), Values(20, 2.0)};
  Run run(*cpu, data);

  run.norm->fold_running(run.gamma, run.beta, run.running_mean, run.running_var, run.folded);
  run.norm->apply(run.x, run.residual, run.folded, run.slope, run.y);
  run.backward(0);

  CHECK(error_of(read(run.y), reference::batch_norm(data.c, s, data.x, data.residual)) < tolerance::kBatchNorm);
  check_backward(run, s, true, tolerance::kBatchNorm);
}

TEST_CASE("batch norm keeps its accuracy far from zero", "[backend][batch_norm]") {
  on_every_target([] {
    const auto cpu = backend::make_cpu_backend({1});
    for (const int block : {8, 16}) {
      const Data data = make_data({4, 16, 24, 24}, block, {Activation::none, false, 1e-5F}, 4, 1000);
      const auto s = reference::batch_statistics(data.c, data.x);
      Run run(*cpu, data);

      run.forward();
      run.backward(data.c.count());

      Values variance(16);
      for (std::size_t k = 0; k < 16; ++k) variance[k] = run.moments.data<double>()[32 + k] / data.c.count();
      CHECK(error_of(variance, s.variance) < tolerance::kBatchNorm);
      check_forward(run, tolerance::kBatchNormFarMean);
      check_backward(run, s, false, tolerance::kBatchNormFarMean);
    }
  });
}

TEST_CASE("batch norm on two ranks equals batch norm on all samples", "[backend][batch_norm]") {
  const auto cpu = backend::make_cpu_backend({1});
  const BatchNormSpec spec{Activation::relu, false, 1e-5F};
  const Data all = make_data({5, 20, 3, 3}, 16, spec, 5);
  constexpr std::int64_t kSample = 20 * 9;
  // Rank 0 has samples 0 to 2, rank 1 samples 3 and 4 and one of padding.
  const auto part = [&](std::int64_t first, std::int64_t valid) {
    Data data = make_data({3, 20, 3, 3}, 16, spec, valid);
    data.c.gamma = all.c.gamma;
    data.c.beta = all.c.beta;
    std::copy_n(all.x.begin() + first * kSample, valid * kSample, data.x.begin());
    std::copy_n(all.dy.begin() + first * kSample, valid * kSample, data.dy.begin());
    return data;
  };
  const Data parts[] = {part(0, 3), part(3, 2)};
  Run whole(*cpu, all);
  Run first(*cpu, parts[0]);
  Run second(*cpu, parts[1]);
  const auto gathered = [&](const Tensor& a, const Tensor& b) {
    Tensor out = cpu->tensor({2, 3, 20}, DType::f64);
    std::memcpy(out.raw(), a.raw(), a.bytes());
    std::memcpy(out.data<double>() + 60, b.raw(), b.bytes());
    return out;
  };

  whole.forward();
  whole.backward(45);
  first.norm->local_moments(first.x, 3, first.moments);
  second.norm->local_moments(second.x, 2, second.moments);
  const Tensor moments = gathered(first.moments, second.moments);
  for (Run* run : {&first, &second}) {
    run->norm->fold(moments, 2, run->gamma, run->beta, run->running_mean, run->running_var, 0.1F, run->folded);
    run->norm->apply(run->x, {}, run->folded, {}, run->y);
    run->norm->backward_sums(run->x, {}, run->dy, run->folded, {}, run->valid, run->sums);
  }
  const Tensor sums = gathered(first.sums, second.sums);
  Values y;
  Values dx;
  for (Run* run : {&first, &second}) {
    run->norm->backward_apply(run->x, {}, run->dy, run->folded, {}, sums, 2, 45, run->valid, run->dx, {});
    const Values part_y = read(run->y);
    const Values part_dx = read(run->dx);
    y.insert(y.end(), part_y.begin(), part_y.begin() + run->valid * kSample);
    dx.insert(dx.end(), part_dx.begin(), part_dx.begin() + run->valid * kSample);
  }

  CHECK(same_bits(first.folded, second.folded));
  CHECK(error_of(y, read(whole.y)) < tolerance::kBatchNorm);
  CHECK(error_of(dx, read(whole.dx)) < tolerance::kBatchNorm);
  CHECK(error_of(read(first.running_var), read(whole.running_var)) < tolerance::kBatchNorm);
}

TEST_CASE("batch norm of a rank without samples uses the running statistics", "[backend][batch_norm]") {
  const auto cpu = backend::make_cpu_backend({1});
  const Data data = make_data({2, 20, 3, 3}, 16, {Activation::none, false, 1e-5F}, 0);
  Run run(*cpu, data);
  Run fixed(*cpu, data);

  run.forward();
  run.backward(0);
  fixed.norm->fold_running(fixed.gamma, fixed.beta, fixed.running_mean, fixed.running_var, fixed.folded);

  CHECK(same_bits(run.folded, fixed.folded));
  CHECK(same_bits(run.running_mean, fixed.running_mean));
  CHECK(read(run.dx) == Values(data.x.size(), 0));
}

TEST_CASE("batch norm gives the same bits for any number of threads", "[backend][batch_norm]") {
  const Data data = make_data({4, 40, 9, 9}, 16, {Activation::prelu, true, 1e-5F}, 3);
  const auto one = backend::make_cpu_backend({1});
  const auto two = backend::make_cpu_backend({kTeam});
  const auto three = backend::make_cpu_backend({2 * kTeam - 1});
  Run base(*one, data);
  base.forward();
  base.backward(data.c.count());

  for (Backend* cpu : {two.get(), three.get()}) {
    Run run(*cpu, data);
    run.forward();
    run.backward(data.c.count());

    CHECK(same_bits(run.moments, base.moments));
    CHECK(same_bits(run.y, base.y));
    CHECK(same_bits(run.sums, base.sums));
    CHECK(same_bits(run.dx, base.dx));
    CHECK(same_bits(run.d_residual, base.d_residual));
  }
}

TEST_CASE("batch norm gradients may overwrite the output's gradient", "[backend][batch_norm]") {
  const auto cpu = backend::make_cpu_backend({kTeam});
  for (const Geometry& g : geometries()) {
    const Data data = make_data(g.shape, g.block, {Activation::prelu, true, 1e-5F}, g.valid);
    Run run(*cpu, data);
    run.forward();
    run.backward(data.c.count());

    run.norm->backward_apply(run.x, run.residual, run.dy, run.folded, run.slope, run.sums, 1, data.c.count(), run.valid,
                             run.dy, {});

    CHECK(same_bits(run.dy, run.dx));
  }
}

TEST_CASE("large batch norm results, which bypass the caches, equal small ones", "[backend][batch_norm]") {
  const auto cpu = backend::make_cpu_backend({kTeam});
  const Shape shape{8, 16, 192, 192};  // 18 MiB
  const auto norm = cpu->make_batch_norm({Activation::prelu, true, 1e-5F}, shape);
  const auto tensor = [&](const Shape& of) {
    Tensor out(cpu->memory(), of, DType::f32, Layout::blocked, 16);
    std::uint32_t state = 1;
    for (float& value : out.host_span<float>()) {
      state = state * 1664525U + 1013904223U;
      value = static_cast<float>(state >> 8) / 8388608.0F - 1.0F;
    }
    return out;
  };
  const Tensor folded = make(*cpu, {4, 16}, random_values(64, 1));
  const Tensor slope = make(*cpu, {16}, random_values(16, 2));
  const Tensor sums = cpu->tensor({3, 16}, DType::f64);
  std::fill_n(sums.data<double>(), 48, 100.0);
  const Tensor x = tensor(shape);
  const Tensor dy = tensor(shape);
  const Tensor dx = tensor(shape);
  const Shape one{1, 16, 192, 192};
  const auto small_norm = cpu->make_batch_norm({Activation::prelu, true, 1e-5F}, one);
  const Tensor small_x = tensor(one);
  const Tensor small_y = tensor(one);

  const Tensor d_residual = tensor(shape);
  norm->apply(x, x, folded, slope, d_residual);
  small_norm->apply(small_x, small_x, folded, slope, small_y);
  CHECK(std::memcmp(d_residual.raw(), small_y.raw(), small_y.bytes()) == 0);

  norm->backward_apply(x, x, dy, folded, slope, sums, 1, 1e4, 7, dx, d_residual);
  const Tensor streamed = cpu->tensor({static_cast<std::int64_t>(dx.elements())});
  std::memcpy(streamed.raw(), dx.raw(), dx.bytes());
  norm->backward_apply(x, x, dy, folded, slope, sums, 1, 1e4, 7, dy, {});
  CHECK(same_bits(streamed, dy));
}

TEST_CASE("batch norm does not hide numbers that are none", "[backend][batch_norm]") {
  const auto activation = GENERATE(Activation::none, Activation::relu, Activation::prelu);
  on_every_target([&] {
    const auto cpu = backend::make_cpu_backend({1});
    const Data data = make_data({1, 16, 2, 2}, 16, {activation, false, 1e-5F}, 1);
    Run run(*cpu, data);
    run.x.data<float>()[5] = std::nanf("");

    run.norm->fold_running(run.gamma, run.beta, run.running_mean, run.running_var, run.folded);
    run.norm->apply(run.x, {}, run.folded, run.slope, run.y);

    CHECK(std::isnan(run.y.data<float>()[5]));
    CHECK_FALSE(std::isnan(run.y.data<float>()[4]));
  });
}

TEST_CASE("batch norm refuses other ranks", "[backend][batch_norm]") {
  const auto cpu = backend::make_cpu_backend({1});

  CHECK_THROWS_WITH(cpu->make_batch_norm({}, {8}), Catch::Contains("[8]") && Catch::Contains("[N, C]"));
}

}  // namespace plsc::test
