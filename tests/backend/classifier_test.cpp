// Tile kernels against the formulas in double, on every instruction set.

#include "plsc/backend/classifier.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "backend/every_target.h"
#include "backend/tensors.h"
#include "plsc/core/error.h"

namespace plsc::test {

namespace {

constexpr std::size_t kN = 32;
constexpr std::size_t kD = 19;
constexpr std::size_t kRows = 23;
constexpr double kScale = 16;
constexpr double kMargin = 0.3;
constexpr double kTolerance = 5e-5;

/// One tile of CosFace (margin 0.3) or of plain softmax with bias; weights of the samples' losses differ.
struct Fixture {
  Fixture(bool normalized_kind, int threads, std::int64_t tile = 40)
      : normalized(normalized_kind), cpu(backend::make_cpu_backend({threads, {}})) {
    backend::ClassifierTileSpec spec{kN, kD, tile, {}, static_cast<float>(kScale)};
    spec.margin.kind = normalized ? backend::MarginKind::cosface : backend::MarginKind::softmax;
    spec.margin.m3 = static_cast<float>(kMargin);
    kernel = cpu->make_classifier_tile(spec);
    batch = kernel->make_batch();
    CounterRng rng(4, RandomPurpose::test, 0);
    for (std::size_t i = 0; i < kN; ++i) {
      targets.push_back(i % 7 == 3 ? backend::kPadding
                                   : (i % 5 == 1 ? backend::kNoTarget : static_cast<int>(rng.below(kRows))));
    }
    std::copy(targets.begin(), targets.end(), batch.targets.data<std::int64_t>());
    rows.weight = make(*cpu, {kRows, kD}, w);
    rows.weight_momentum = make(*cpu, {kRows, kD}, v);
    if (!normalized) rows.bias = make(*cpu, {kRows}, b);
    if (!normalized) rows.bias_momentum = make(*cpu, {kRows}, vb);
    rows.size = kRows;
    kernel->load_features(make(*cpu, {kN, kD}, x), batch);
  }

  Tensor forward(const Tensor& kept = Tensor()) {
    const Tensor statistics = poisoned(*cpu, {backend::kStatistics, kN});
    kernel->begin_forward();
    kernel->forward(batch, rows, kept);
    kernel->finish_forward(batch, statistics);
    return statistics;
  }

  /// Softmax of this tile alone with weights 1, 2, 3, ... for the samples that count.
  void fill_softmax() {
    float* softmax = batch.softmax.data<float>();
    for (std::size_t i = 0; i < kN; ++i) {
      const bool counts = targets[i] != backend::kPadding;
      double sum = 0;
      for (std::size_t row = 0; row < kRows; ++row) sum += std::exp(logit(row, i));
      const double weight = counts ? 0.01 * static_cast<double>(i + 1) : 0;
      const double p = targets[i] >= 0 ? std::exp(logit(static_cast<std::size_t>(targets[i]), i)) / sum : 0;
      softmax[i] = counts ? static_cast<float>(std::log(sum)) : 0;
      softmax[kN + i] = static_cast<float>(weight);
      softmax[2 * kN + i] = static_cast<float>(weight * (p - 1));
    }
  }

  static double norm(const Values& values, std::size_t row) {
    double squares = 0;
    for (std::size_t d = 0; d < kD; ++d) squares += values[row * kD + d] * values[row * kD + d];
    return std::sqrt(squares);
  }
  double raw(std::size_t row, std::size_t i) const {
    double product = 0;
    for (std::size_t d = 0; d < kD; ++d) product += w[row * kD + d] * x[i * kD + d];
    return normalized ? kScale * product / norm(w, row) / norm(x, i) : product + b[row];
  }
  /// With the margin at the target.
  double logit(std::size_t row, std::size_t i) const {
    const bool target = targets[i] == static_cast<std::int64_t>(row);
    return raw(row, i) - (target && normalized ? kScale * kMargin : 0);
  }
  double d_logit(std::size_t row, std::size_t i) const {
    if (targets[i] == backend::kPadding) return 0;
    double sum = 0;
    for (std::size_t other = 0; other < kRows; ++other) sum += std::exp(logit(other, i));
    const double target = targets[i] == static_cast<std::int64_t>(row) ? 1 : 0;
    return 0.01 * static_cast<double>(i + 1) * (std::exp(logit(row, i)) / sum - target);
  }
  Values expected_d_features() const {
    Values out(kN * kD, 0);
    for (std::size_t i = 0; i < kN; ++i) {
      for (std::size_t row = 0; row < kRows; ++row) {
        const double factor = d_logit(row, i) * (normalized ? kScale / norm(w, row) : 1);
        for (std::size_t d = 0; d < kD; ++d) out[i * kD + d] += factor * w[row * kD + d];
      }
    }
    return out;
  }
  Values expected_d_weight() const {
    Values out(kRows * kD, 0);
    for (std::size_t row = 0; row < kRows; ++row) {
      Values g(kD, 0);
      for (std::size_t i = 0; i < kN; ++i) {
        const double factor = d_logit(row, i) * (normalized ? kScale / norm(x, i) : 1);
        for (std::size_t d = 0; d < kD; ++d) g[d] += factor * x[i * kD + d];
      }
      double along = 0;
      for (std::size_t d = 0; d < kD; ++d) along += g[d] * w[row * kD + d];
      const double length = norm(w, row);
      for (std::size_t d = 0; d < kD; ++d) {
        out[row * kD + d] = normalized ? (g[d] - w[row * kD + d] * along / length / length) / length : g[d];
      }
    }
    return out;
  }

  bool normalized;
  std::unique_ptr<backend::Backend> cpu;
  std::unique_ptr<backend::ClassifierTile> kernel;
  backend::ClassifierBatch batch;
  backend::ClassRows rows;
  std::vector<std::int64_t> targets;
  const Values x = random_values(kN * kD, 1);
  const Values w = random_values(kRows * kD, 2, 0, 0.3);
  const Values v = random_values(kRows * kD, 3);
  const Values b = random_values(kRows, 5);
  const Values vb = random_values(kRows, 6);
};

Values row_of(const Tensor& statistics, int row) {
  const float* begin = statistics.data<float>() + row * static_cast<int>(kN);
  return {begin, begin + kN};
}

}  // namespace

TEST_CASE("the forward pass of a tile yields maximum, sum and target logits", "[backend][classifier]") {
  const bool normalized = GENERATE(true, false);
  const int threads = GENERATE(1, 2);
  on_every_target([&] {
    Fixture f(normalized, threads);

    const Tensor statistics = f.forward();

    for (std::size_t i = 0; i < kN; ++i) {
      if (f.targets[i] == backend::kPadding) continue;
      double max = -INFINITY;
      double sum = 0;
      for (std::size_t row = 0; row < kRows; ++row) {
        if (f.targets[i] != static_cast<std::int64_t>(row)) max = std::fmax(max, f.raw(row, i));
      }
      for (std::size_t row = 0; row < kRows; ++row) {
        if (f.targets[i] != static_cast<std::int64_t>(row)) sum += std::exp(f.raw(row, i) - max);
      }
      CHECK(row_of(statistics, backend::other_max)[i] == Approx(max).margin(2e-5));
      CHECK(row_of(statistics, backend::other_sum)[i] == Approx(sum).epsilon(2e-5));
      if (f.targets[i] == backend::kNoTarget) {
        CHECK(row_of(statistics, backend::target_logit)[i] == -INFINITY);
        CHECK(row_of(statistics, backend::target_cosine)[i] == -INFINITY);
      } else {
        const auto target = static_cast<std::size_t>(f.targets[i]);
        CHECK(row_of(statistics, backend::target_logit)[i] == Approx(f.logit(target, i)).margin(2e-5));
        CHECK(row_of(statistics, backend::target_cosine)[i] == Approx(f.raw(target, i)).margin(2e-5));
      }
    }
  });
}

TEST_CASE("the backward pass of a tile yields both gradients", "[backend][classifier]") {
  const bool normalized = GENERATE(true, false);
  const int threads = GENERATE(1, 2);
  const bool keep = GENERATE(true, false);
  on_every_target([&] {
    Fixture f(normalized, threads);
    const Tensor kept = keep ? poisoned(*f.cpu, {kRows, kN}) : Tensor();
    const Tensor d_features = poisoned(*f.cpu, {kN, kD});
    backend::RowStep step;
    step.d_weight = poisoned(*f.cpu, {kRows, kD});
    if (!normalized) step.d_bias = poisoned(*f.cpu, {kRows});
    Values expected_bias(kRows, 0);
    for (std::size_t row = 0; row < kRows; ++row) {
      for (std::size_t i = 0; i < kN; ++i) expected_bias[row] += f.d_logit(row, i);
    }

    f.forward(kept);
    f.fill_softmax();
    f.kernel->begin_backward();
    f.kernel->backward(f.batch, f.rows, kept, step);
    f.kernel->finish_backward(d_features);

    CHECK(error_of(read(d_features), f.expected_d_features()) < kTolerance);
    CHECK(error_of(read(step.d_weight), f.expected_d_weight()) < kTolerance);
    if (!normalized) CHECK(error_of(read(step.d_bias), expected_bias) < kTolerance);
    CHECK(read(f.rows.weight) == f.w);
  });
}

TEST_CASE("rows step by SGD in PyTorch's form", "[backend][classifier]") {
  const bool normalized = GENERATE(true, false);
  const bool nesterov = GENERATE(true, false);
  on_every_target([&] {
    Fixture f(normalized, 2);
    const Tensor state = backend::make_step_state(f.cpu->memory());
    backend::StepState values;
    values.head_learning_rate = 0.5F;
    std::memcpy(state.raw(), &values, sizeof(values));
    backend::RowStep step;
    step.state = &state;
    step.momentum = 0.75F;
    step.nesterov = nesterov;
    step.weight_decay = 0.125F;
    const Values d = f.expected_d_weight();
    Values expected_w = f.w;
    Values expected_v = f.v;
    for (std::size_t i = 0; i < d.size(); ++i) {
      const double g = d[i] + 0.125 * f.w[i];
      expected_v[i] = 0.75 * f.v[i] + g;
      expected_w[i] -= 0.5 * (nesterov ? g + 0.75 * expected_v[i] : expected_v[i]);
    }

    f.forward();
    f.fill_softmax();
    f.kernel->begin_backward();
    f.kernel->backward(f.batch, f.rows, Tensor(), step);

    CHECK(error_of(read(f.rows.weight), expected_w) < kTolerance);
    CHECK(error_of(read(f.rows.weight_momentum), expected_v) < kTolerance);
  });
}

TEST_CASE("two tiles make what one makes", "[backend][classifier]") {
  Fixture whole(true, 1);
  Fixture halves(true, 1);
  backend::ClassRows first = halves.rows;
  first.size = 9;
  backend::ClassRows second = halves.rows;
  second.weight = halves.rows.weight.view(9 * kD, {kRows - 9, kD});
  second.first_slot = 9;
  second.size = kRows - 9;
  const Tensor statistics = poisoned(*halves.cpu, {backend::kStatistics, kN});

  const Values expected = read(whole.forward());
  halves.kernel->begin_forward();
  halves.kernel->forward(halves.batch, first, Tensor());
  halves.kernel->forward(halves.batch, second, Tensor());
  halves.kernel->finish_forward(halves.batch, statistics);

  const Values actual = read(statistics);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK((actual[i] == expected[i] || actual[i] == Approx(expected[i]).epsilon(1e-5)));
  }
}

TEST_CASE("features are normalised, transposed, and zero where nothing counts", "[backend][classifier]") {
  const bool normalized = GENERATE(true, false);
  Fixture f(normalized, 2);

  const Values features = read(f.batch.features);
  const Values transposed = read(f.batch.features_t);

  for (std::size_t i = 0; i < kN; ++i) {
    const double norm = normalized ? Fixture::norm(f.x, i) : 1;
    const bool counts = f.targets[i] != backend::kPadding;
    for (std::size_t d = 0; d < kD; ++d) {
      CHECK(features[i * kD + d] == Approx(counts ? f.x[i * kD + d] / norm : 0).margin(1e-6));
      CHECK(features[i * kD + d] == transposed[d * kN + i]);
    }
  }
}

TEST_CASE("embedding gradients pass through the normalisation", "[backend][classifier]") {
  Fixture f(true, 1);
  const Values g = random_values(4 * kD, 9);
  const Tensor gradient = make(*f.cpu, {4, kD}, g);
  const std::size_t first = 5;

  f.kernel->embedding_gradient(f.batch, first, gradient, gradient);

  Values expected(4 * kD);
  for (std::size_t i = 0; i < 4; ++i) {
    const double norm = Fixture::norm(f.x, first + i);
    double along = 0;
    for (std::size_t d = 0; d < kD; ++d) along += g[i * kD + d] * f.x[(first + i) * kD + d] / norm;
    for (std::size_t d = 0; d < kD; ++d) {
      expected[i * kD + d] = (g[i * kD + d] - along * f.x[(first + i) * kD + d] / norm) / norm;
    }
  }
  CHECK(error_of(read(gradient), expected) < kTolerance);
}

TEST_CASE("a classifier tile of impossible size is an error", "[backend][classifier][errors]") {
  const auto cpu = backend::make_cpu_backend({1, {}});

  CHECK_THROWS_WITH(cpu->make_classifier_tile({17, 8, 4, {}, 64}), Catch::Contains("17 samples"));
  CHECK_THROWS_WITH(cpu->make_classifier_tile({16, 0, 4, {}, 64}), Catch::Contains("embedding 0"));
}

TEST_CASE("the tile size is chosen when none is given, and held memory is told", "[backend][classifier]") {
  const auto cpu = backend::make_cpu_backend({2, {}});
  const auto automatic = cpu->make_classifier_tile({16, 8, 0, {}, 64});
  const auto fixed = cpu->make_classifier_tile({16, 8, 100, {}, 64});

  CHECK(automatic->tile() >= 2 * 128);
  CHECK(automatic->tile() <= 2 * 2048);
  CHECK(fixed->tile() == 100);
  CHECK(fixed->scratch_bytes() > 100 * (16 + 8) * sizeof(float));
}

}  // namespace plsc::test
