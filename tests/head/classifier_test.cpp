// The sharded classifier equals the dense reference, whatever the ranks, tiles and memory.

#include <catch2/catch.hpp>

#include "head/dense_reference.h"
#include "head/head_run.h"
#include "support/team.h"

namespace plsc::test {

namespace {

using config::Loss;
using config::MarginGradient;
using head::RowUpdate;

DenseHead dense_of(const HeadCase& c) {
  return DenseHead(c.head, static_cast<std::size_t>(c.classes), static_cast<std::size_t>(c.columns), initial_rows(c));
}

/// Compares one forward_backward with an update in place.
void check_step(const HeadCase& c, const HeadStep& step, int ranks) {
  DenseHead dense = dense_of(c);
  const DenseResult expected = dense.forward_backward(step.x, step.labels);
  dense.sgd(expected.d_weight, expected.d_bias, c.rate, c.momentum, c.nesterov, c.weight_decay);

  const HeadOutcome actual = run_head(c, {step}, ranks);

  CHECK(actual.results[0].loss == Approx(expected.loss).epsilon(head_tolerance::kLoss));
  CHECK(actual.results[0].valid == expected.valid);
  CHECK(actual.results[0].correct == expected.correct);
  CHECK(actual.results[0].finite);
  CHECK(error_of(actual.d_x[0], expected.d_x) < head_tolerance::kGradient);
  // Momentum after one step is the gradient with its decay.
  CHECK(error_of(actual.rows("weight.momentum"), dense.momentum) < head_tolerance::kGradient);
  CHECK(error_of(actual.rows("weight"), dense.weight) < head_tolerance::kRows);
  if (c.head.bias) CHECK(error_of(actual.rows("bias"), dense.bias) < head_tolerance::kGradient);
}

}  // namespace

TEST_CASE("every loss equals the dense reference on 1 to 4 ranks", "[head][classifier]") {
  const auto loss = GENERATE(Loss::softmax, Loss::norm_softmax, Loss::arcface, Loss::cosface, Loss::combined);
  const auto gradient = GENERATE(MarginGradient::exact, MarginGradient::straight_through);
  const int ranks = GENERATE(1, 2, 3, 4);
  HeadCase c{head_config(loss, gradient), 37, 20};
  c.head.bias = loss == Loss::softmax;
  c.weight_decay = 0.01F;
  CAPTURE(static_cast<int>(loss), static_cast<int>(gradient), ranks);
  HeadStep step = random_step(c, 22, 5);  // not a multiple of 4: the last ranks pad
  step.labels[3] = -1;
  step.labels[17] = -1;

  check_step(c, step, ranks);
}

TEST_CASE("ranks without positives and ranks without rows take part", "[head][classifier]") {
  const std::int64_t classes = GENERATE(1, 2, 3, 9);
  const int ranks = GENERATE(2, 3, 4);
  const HeadCase c{head_config(Loss::arcface), classes, 12};
  CAPTURE(classes, ranks);
  HeadStep step = random_step(c, 9, 6);
  for (std::int64_t& label : step.labels) label = 0;  // all of them on rank 0

  check_step(c, step, ranks);
}

TEST_CASE("a global batch smaller than the world pads whole ranks", "[head][classifier]") {
  const HeadCase c{head_config(Loss::cosface), 11, 8};

  check_step(c, random_step(c, 2, 7), 4);
}

TEST_CASE("odd widths of embeddings work", "[head][classifier]") {
  const std::int64_t columns = GENERATE(1, 2, 7, 33);
  const HeadCase c{head_config(columns == 1 ? Loss::softmax : Loss::cosface), 10, columns};

  check_step(c, random_step(c, 8, 8), 2);
}

TEST_CASE("tile size and threads change rounding only", "[head][classifier]") {
  const std::int64_t tile = GENERATE(1, 2, 5, 16, 36, 37, 1000);
  const int threads = GENERATE(1, kTeam);
  HeadCase c{head_config(Loss::arcface), 37, 20};
  c.head.tile = tile;
  c.threads = threads;
  CAPTURE(tile, threads);

  check_step(c, random_step(c, 22, 9), 2);
}

TEST_CASE("kept and recomputed logits give the same bits", "[head][classifier]") {
  const int threads = GENERATE(1, kTeam);
  HeadCase all{head_config(Loss::arcface), 40, 24};
  all.threads = threads;
  all.head.tile = 8;
  HeadCase some = all;
  some.head.workspace_bytes = 2 * 8 * 32 * 4 + 100;  // two tiles of five
  HeadCase none = all;
  none.head.workspace_bytes = 1;
  const std::vector<HeadStep> steps{random_step(all, 32, 10), random_step(all, 32, 11)};

  const HeadOutcome kept = run_head(all, steps, 1);
  const HeadOutcome mixed = run_head(some, steps, 1);
  const HeadOutcome recomputed = run_head(none, steps, 1);

  CHECK(kept.d_x == mixed.d_x);
  CHECK(kept.d_x == recomputed.d_x);
  CHECK(kept.rows("weight") == mixed.rows("weight"));
  CHECK(kept.rows("weight") == recomputed.rows("weight"));
  CHECK(kept.workspace_bytes > mixed.workspace_bytes);
  CHECK(mixed.workspace_bytes > recomputed.workspace_bytes);
}

TEST_CASE("several steps of SGD equal the reference", "[head][classifier]") {
  const bool nesterov = GENERATE(false, true);
  const float momentum = GENERATE(0.0F, 0.9F);
  const auto loss = GENERATE(Loss::softmax, Loss::arcface);
  const int ranks = GENERATE(1, 3);
  HeadCase c{head_config(loss), 23, 16};
  c.head.bias = loss == Loss::softmax;
  c.nesterov = nesterov;
  c.momentum = momentum;
  c.weight_decay = 5e-3F;
  c.rate = 0.05F;
  std::vector<HeadStep> steps;
  DenseHead dense = dense_of(c);
  Values losses;
  for (std::uint64_t i = 0; i < 6; ++i) {
    steps.push_back(random_step(c, 24, 20 + i));
    const DenseResult expected = dense.forward_backward(steps.back().x, steps.back().labels);
    dense.sgd(expected.d_weight, expected.d_bias, c.rate, momentum, nesterov, c.weight_decay);
    losses.push_back(expected.loss);
  }

  const HeadOutcome actual = run_head(c, steps, ranks);

  for (std::size_t i = 0; i < steps.size(); ++i) CHECK(actual.results[i].loss == Approx(losses[i]).epsilon(1e-4));
  CHECK(losses.back() < losses.front());
  CHECK(error_of(actual.rows("weight"), dense.weight) < 1e-4);
}

TEST_CASE("a deferred update has the bits of a fused one", "[head][classifier]") {
  const int threads = GENERATE(1, kTeam);
  const int ranks = GENERATE(1, 2);
  HeadCase c{head_config(Loss::arcface), 37, 20};
  c.threads = threads;
  c.head.tile = 7;
  c.weight_decay = 0.01F;
  std::vector<HeadStep> fused{random_step(c, 22, 30), random_step(c, 22, 31)};
  std::vector<HeadStep> deferred = fused;
  for (HeadStep& step : deferred) {
    step.update = RowUpdate::deferred;
    step.commit = true;
  }

  const HeadOutcome first = run_head(c, fused, ranks);
  const HeadOutcome second = run_head(c, deferred, ranks);

  CHECK(first.d_x == second.d_x);
  CHECK(first.rows("weight") == second.rows("weight"));
  CHECK(first.rows("weight.momentum") == second.rows("weight.momentum"));
}

TEST_CASE("a commit over micro-batches steps once by their summed gradient", "[head][classifier]") {
  const auto loss = GENERATE(Loss::softmax, Loss::combined);
  const int ranks = GENERATE(1, 3);
  HeadCase c{head_config(loss), 37, 20};
  c.head.bias = loss == Loss::softmax;
  c.weight_decay = 0.01F;
  std::vector<HeadStep> steps{random_step(c, 22, 40), random_step(c, 22, 41)};
  steps[0].update = steps[1].update = RowUpdate::deferred;
  steps[1].labels[4] = -1;
  steps[1].commit = true;
  DenseHead dense = dense_of(c);
  const DenseResult one = dense.forward_backward(steps[0].x, steps[0].labels);
  const DenseResult two = dense.forward_backward(steps[1].x, steps[1].labels);
  Values d_weight = one.d_weight;
  Values d_bias = one.d_bias;
  for (std::size_t i = 0; i < d_weight.size(); ++i) d_weight[i] += two.d_weight[i];
  for (std::size_t i = 0; i < d_bias.size(); ++i) d_bias[i] += two.d_bias[i];
  dense.sgd(d_weight, d_bias, c.rate, c.momentum, c.nesterov, c.weight_decay);

  const HeadOutcome actual = run_head(c, steps, ranks);

  CHECK(error_of(actual.d_x[1], two.d_x) < head_tolerance::kGradient);  // against rows that had not moved
  CHECK(error_of(actual.rows("weight.momentum"), dense.momentum) < head_tolerance::kGradient);
  CHECK(error_of(actual.rows("weight"), dense.weight) < head_tolerance::kRows);
  if (c.head.bias) CHECK(error_of(actual.rows("bias"), dense.bias) < head_tolerance::kGradient);
}

TEST_CASE("the same run has the same bits", "[head][classifier]") {
  const int threads = GENERATE(1, kTeam);
  HeadCase c{head_config(Loss::arcface), 150, 32};
  c.threads = threads;
  const std::vector<HeadStep> steps{random_step(c, 48, 50), random_step(c, 48, 51), random_step(c, 48, 52)};

  const HeadOutcome first = run_head(c, steps, 2);
  const HeadOutcome second = run_head(c, steps, 2);

  CHECK(first.d_x == second.d_x);
  CHECK(first.rows("weight") == second.rows("weight"));
  CHECK(first.results[2].loss == second.results[2].loss);
}

TEST_CASE("memory beside the rows does not grow with the classes once the workspace is full", "[head][classifier]") {
  HeadCase few{head_config(Loss::arcface), 200, 16};
  few.head.tile = 32;
  few.head.workspace_bytes = 100 * 16 * 4;
  HeadCase many = few;
  many.classes = 3000;

  const std::size_t small = run_head(few, {random_step(few, 16, 1)}, 1).workspace_bytes;
  const std::size_t large = run_head(many, {random_step(many, 16, 1)}, 1).workspace_bytes;

  CHECK(small == large);
}

}  // namespace plsc::test
