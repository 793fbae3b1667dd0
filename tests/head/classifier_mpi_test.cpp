// The sharded classifier on MPI ranks equals the dense reference.

#include <catch2/catch.hpp>

#include "head/dense_reference.h"
#include "head/head_run.h"
#include "plsc/comm/mpi.h"

namespace plsc::test {

TEST_CASE("MPI ranks train like the dense reference", "[head][mpi]") {
  const auto loss = GENERATE(config::Loss::softmax, config::Loss::arcface);
  const std::int64_t classes = GENERATE(3, 37);
  const auto communicator = comm::make_mpi_communicator();
  HeadCase c{head_config(loss), classes, 20};
  c.head.bias = loss == config::Loss::softmax;
  c.weight_decay = 0.01F;
  std::vector<HeadStep> steps;
  DenseHead dense(c.head, static_cast<std::size_t>(classes), 20, initial_rows(c));
  std::vector<DenseResult> expected;
  for (std::uint64_t i = 0; i < 3; ++i) {
    steps.push_back(random_step(c, 22, 20 + i));
    steps.back().labels[5] = -1;
    expected.push_back(dense.forward_backward(steps.back().x, steps.back().labels));
    dense.sgd(expected.back().d_weight, expected.back().d_bias, c.rate, c.momentum, c.nesterov, c.weight_decay);
  }
  steps[1].update = head::RowUpdate::deferred;
  steps[1].commit = true;

  const HeadOutcome actual = run_head(c, steps, *communicator);

  for (std::size_t i = 0; i < steps.size(); ++i) {
    CHECK(actual.results[i].loss == Approx(expected[i].loss).epsilon(1e-4));
    CHECK(actual.results[i].valid == expected[i].valid);
  }
  CHECK(error_of(actual.d_x[0], expected[0].d_x) < head_tolerance::kGradient);
  CHECK(error_of(actual.rows("weight"), dense.weight) < 1e-4);
}

TEST_CASE("the best classes come back to the rank that asked", "[head][mpi][top]") {
  const auto communicator = comm::make_mpi_communicator();
  const HeadCase c{head_config(config::Loss::arcface), 13, 8};
  const auto cpu = backend::make_cpu_backend({1, {}});
  const auto head = head::make_sharded_classifier(options_of(c, 2), *cpu, *communicator);
  const Values rows = initial_rows(c);
  const std::int64_t wanted = (3 * communicator->rank() + 1) % 13;
  const Tensor embeddings = cpu->tensor({1, 8});
  for (std::int64_t d = 0; d < 8; ++d) {
    embeddings.data<float>()[d] = static_cast<float>(rows[static_cast<std::size_t>(wanted * 8 + d)]);
  }

  const auto best = head->top_classes(embeddings, 3);

  REQUIRE(best.size() == 1);
  CHECK(best[0].size() == 3);
  CHECK(best[0][0] == wanted);
}

}  // namespace plsc::test
