// Extremes: cosines of one, zero vectors, sums that would underflow, NaN; and the loss a fresh head begins with.

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "head/head_run.h"
#include "plsc/comm/self.h"

namespace plsc::test {

namespace {

using config::Loss;
using config::MarginGradient;

bool all_finite(const Values& values) {
  for (const double value : values) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

bool all_zero(const Values& values, std::size_t begin, std::size_t count) {
  for (std::size_t i = begin; i < begin + count; ++i) {
    if (values[i] != 0) return false;
  }
  return true;
}

/// Rows of a fresh head replaced by `rows`, then one step without ranks.
struct Placed {
  head::HeadResult result;
  Values d_x;
  Values weight;
};
Placed step_with_rows(const HeadCase& c, const Values& rows, const HeadStep& step) {
  const auto cpu = backend::make_cpu_backend({c.threads, {}});
  const auto self = comm::make_self_communicator();
  const auto batch = static_cast<std::int64_t>(step.labels.size());
  const auto head = head::make_sharded_classifier(options_of(c, batch), *cpu, *self);
  const auto weight = head->row_state()[0].tensor.host_span<float>();
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(rows[i]);
  const Tensor state = backend::make_step_state(cpu->memory());
  set_state(state, c.rate);
  const Tensor embeddings = cpu->tensor({batch, c.columns});
  for (std::size_t i = 0; i < step.x.size(); ++i) embeddings.data<float>()[i] = static_cast<float>(step.x[i]);
  Placed placed;
  placed.result = head->forward_backward(embeddings, step.labels, step.update, state);
  const auto d_x = placed.result.d_embeddings.host_span<float>();
  placed.d_x.assign(d_x.begin(), d_x.end());
  placed.weight.assign(weight.begin(), weight.end());
  placed.result.d_embeddings = Tensor();
  return placed;
}

}  // namespace

TEST_CASE("cosines of plus and minus one everywhere give finite gradients", "[head][numerics]") {
  const auto loss = GENERATE(Loss::norm_softmax, Loss::arcface, Loss::cosface, Loss::combined);
  const auto gradient = GENERATE(MarginGradient::exact, MarginGradient::straight_through);
  const double sign = GENERATE(1.0, -1.0);
  HeadCase c{head_config(loss, gradient), 6, 3};
  c.head.scale = 64;
  Values rows;
  HeadStep step;
  for (int i = 0; i < 6; ++i) {
    const double length = 0.1 + 0.37 * i;
    for (const double x : {0.3, -1.1, 0.7}) rows.push_back(length * x);
    for (const double x : {0.3, -1.1, 0.7}) step.x.push_back(sign * x * (1 + i));
    step.labels.push_back(i);
  }

  const Placed placed = step_with_rows(c, rows, step);

  CHECK(placed.result.finite);
  CHECK(std::isfinite(placed.result.loss));
  CHECK(all_finite(placed.d_x));
  CHECK(all_finite(placed.weight));
}

TEST_CASE("a zero embedding and a zero row have output and gradient 0", "[head][numerics]") {
  const auto loss = GENERATE(Loss::norm_softmax, Loss::arcface, Loss::cosface, Loss::combined);
  HeadCase c{head_config(loss), 8, 6};
  HeadStep step = random_step(c, 5, 3);
  std::fill_n(step.x.begin() + 6, 6, 0.0);
  Values rows = initial_rows(c);
  std::fill_n(rows.begin() + 4 * 6, 6, 0.0);
  step.labels[2] = 4;  // the zero row's own sample

  const Placed placed = step_with_rows(c, rows, step);

  CHECK(placed.result.finite);
  CHECK(all_finite(placed.d_x));
  CHECK(all_zero(placed.d_x, 6, 6));
  CHECK_FALSE(all_zero(placed.d_x, 0, 6));
  CHECK(all_zero(placed.weight, 4 * 6, 6));
  CHECK(all_finite(placed.weight));
}

TEST_CASE("at scale 64 a cosine of -0.4 everywhere does not underflow", "[head][numerics]") {
  // A fixed shift by 64 would leave exp(64 * -1.4) = 1e-39 per class.
  HeadCase c{head_config(Loss::cosface), 50, 2};
  c.head.scale = 64;
  Values rows;
  for (int i = 0; i < 50; ++i) rows.insert(rows.end(), {1.0, 0.0});
  HeadStep step;
  step.x = {-0.4, std::sqrt(1 - 0.16), -0.4, -std::sqrt(1 - 0.16)};
  step.labels = {3, 49};

  const Placed placed = step_with_rows(c, rows, step);

  const double expected = std::log(49 + std::exp(-64 * 0.35)) + 64 * 0.35;
  CHECK(placed.result.loss == Approx(expected).epsilon(1e-5));
  CHECK_FALSE(all_zero(placed.d_x, 0, 4));
  CHECK(all_finite(placed.d_x));
}

TEST_CASE("a non-finite loss moves no row and gives zero gradients on every rank", "[head][numerics]") {
  const float bad = GENERATE(std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e30F);
  const auto loss = GENERATE(Loss::softmax, Loss::arcface);
  const auto update = GENERATE(head::RowUpdate::fused, head::RowUpdate::deferred);
  const int ranks = GENERATE(1, 3);
  const HeadCase c{head_config(loss), 10, 6};
  HeadStep step = random_step(c, 12, 4);
  step.x[50] = static_cast<double>(bad);
  step.update = update;
  step.commit = update == head::RowUpdate::deferred;

  const HeadOutcome outcome = run_head(c, {step}, ranks);

  CHECK_FALSE(outcome.results[0].finite);
  CHECK_FALSE(std::isfinite(outcome.results[0].loss));
  CHECK(all_zero(outcome.d_x[0], 0, outcome.d_x[0].size()));
  CHECK(outcome.rows("weight") == initial_rows(c));
}

TEST_CASE("a row that is not finite makes the loss non-finite whoever owns it", "[head][numerics]") {
  const auto loss = GENERATE(Loss::softmax, Loss::cosface);
  const HeadCase c{head_config(loss), 10, 6};
  HeadStep step = random_step(c, 4, 4);
  step.labels = {0, 1, 2, 3};
  Values rows = initial_rows(c);
  rows[7 * 6 + 2] = GENERATE(std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity());

  const Placed placed = step_with_rows(c, rows, step);

  CHECK_FALSE(placed.result.finite);
}

TEST_CASE("padding may hold anything", "[head][numerics]") {
  const HeadCase c{head_config(Loss::arcface), 10, 6};
  HeadStep clean = random_step(c, 8, 4);
  clean.labels[5] = -1;
  HeadStep dirty = clean;
  for (int d = 0; d < 6; ++d) dirty.x[static_cast<std::size_t>(5 * 6 + d)] = std::numeric_limits<double>::quiet_NaN();

  const HeadOutcome first = run_head(c, {clean}, 1);
  const HeadOutcome second = run_head(c, {dirty}, 1);

  CHECK(first.results[0].valid == 7);
  CHECK(first.results[0].loss == second.results[0].loss);
  CHECK(first.d_x == second.d_x);
  CHECK(all_zero(first.d_x[0], 5 * 6, 6));
  CHECK(first.rows("weight") == second.rows("weight"));
}

TEST_CASE("a batch of padding alone has loss 0 and no gradient", "[head][numerics]") {
  const int ranks = GENERATE(1, 3);
  const HeadCase c{head_config(Loss::arcface), 10, 6};
  HeadStep step = random_step(c, 6, 4);
  for (std::int64_t& label : step.labels) label = -1;

  const HeadOutcome outcome = run_head(c, {step}, ranks);

  CHECK(outcome.results[0].loss == 0.0);
  CHECK(outcome.results[0].valid == 0);
  CHECK(outcome.results[0].correct == 0);
  CHECK(outcome.results[0].finite);
  CHECK(all_zero(outcome.d_x[0], 0, outcome.d_x[0].size()));
  CHECK(outcome.rows("weight") == initial_rows(c));
}

TEST_CASE("the first loss is ln C + s^2/2D + s delta", "[head][numerics]") {
  const auto loss = GENERATE(Loss::norm_softmax, Loss::arcface, Loss::cosface);
  HeadCase c{head_config(loss), 2000, 512};
  c.head.scale = 64;
  c.head.margin = loss == Loss::cosface ? 0.4F : 0.5F;
  const double delta = loss == Loss::norm_softmax ? 0.0 : (loss == Loss::cosface ? 0.4 : std::sin(0.5));
  HeadStep step;
  step.update = head::RowUpdate::none;
  CounterRng rng(2, RandomPurpose::test, 0);
  for (std::int64_t i = 0; i < 256; ++i) {
    step.labels.push_back(static_cast<std::int64_t>(rng.below(2000)));
    for (std::int64_t d = 0; d < 512; ++d) step.x.push_back(rng.normal());
  }

  const HeadOutcome outcome = run_head(c, {step}, 1);

  const double expected = std::log(2000.0) + 64.0 * 64.0 / (2 * 512.0) + 64 * delta;
  CHECK(outcome.results[0].loss == Approx(expected).epsilon(0.02));
}

}  // namespace plsc::test
