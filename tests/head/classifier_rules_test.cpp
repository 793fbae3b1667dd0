// Errors, update rules, selectors, the best classes, memory.

#include <catch2/catch.hpp>
#include <limits>
#include <numeric>

#include "head/dense_reference.h"
#include "head/head_run.h"
#include "plsc/comm/self.h"
#include "plsc/core/error.h"
#include "support/team.h"
#include "support/thread_ranks.h"

namespace plsc::test {

namespace {

using config::Loss;
using head::RowUpdate;

HeadCase small_case() { return {head_config(Loss::arcface), 10, 6}; }

/// A head of one rank with a batch that fits it.
struct Bench {
  explicit Bench(const HeadCase& c, std::int64_t batch, std::unique_ptr<head::RowSelector> selector = nullptr)
      : head(head::make_sharded_classifier(options_of(c, batch), *cpu, *self, std::move(selector))),
        state(backend::make_step_state(cpu->memory())),
        embeddings(cpu->tensor({batch, c.columns})) {
    set_state(state, c.rate);
    const HeadStep step = random_step(c, batch, 1);
    labels = step.labels;
    for (std::size_t i = 0; i < step.x.size(); ++i) embeddings.data<float>()[i] = static_cast<float>(step.x[i]);
  }

  head::HeadResult step(RowUpdate update) { return head->forward_backward(embeddings, labels, update, state); }
  std::vector<float> weight() const {
    const auto values = head->row_state()[0].tensor.host_span<float>();
    return {values.begin(), values.end()};
  }

  std::unique_ptr<backend::Backend> cpu = backend::make_cpu_backend({1, {}});
  std::unique_ptr<comm::Communicator> self = comm::make_self_communicator();
  std::unique_ptr<head::ShardedClassifier> head;
  Tensor state;
  Tensor embeddings;
  std::vector<std::int64_t> labels;
};

/// Every third row and the labels' own.
class ThirdRows final : public head::RowSelector {
 public:
  std::int64_t capacity(const head::RowShard& shard) const override { return shard.size; }
  head::RowSelection select(std::int64_t step, const Tensor&, std::span<const std::int64_t> labels,
                            head::ClassStore& store) override {
    const head::RowShard& shard = store.shard();
    rows_.clear();
    for (std::int64_t row = 0; row < shard.size; ++row) {
      const bool positive = std::find(labels.begin(), labels.end(), shard.begin + row) != labels.end();
      if (positive || (shard.begin + row + step) % 3 == 0) rows_.push_back(row);
    }
    const auto count = static_cast<std::int64_t>(rows_.size());
    rows_.resize(static_cast<std::size_t>(shard.size), -1);
    return {count, rows_};
  }

 private:
  std::vector<std::int64_t> rows_;
};

}  // namespace

TEST_CASE("labels out of range are the same data error on every rank", "[head][errors]") {
  const std::int64_t bad = GENERATE(-2, 10, 100000);
  const int ranks = GENERATE(1, 2);
  const HeadCase c = small_case();
  HeadStep step = random_step(c, 8, 1);
  step.labels[7] = bad;
  std::vector<std::string> messages(static_cast<std::size_t>(ranks));

  run_thread_ranks(ranks, [&](comm::Communicator& communicator) {
    try {
      run_head(c, {step}, communicator);
    } catch (const Error& error) {
      expect(error.code() == ErrorCode::data, "wrong error code");
      messages[static_cast<std::size_t>(communicator.rank())] = error.message();
    }
  });

  CHECK_THAT(messages[0], Catch::Contains("label " + std::to_string(bad)) && Catch::Contains("classes 0 to 9") &&
                              Catch::Contains("on rank " + std::to_string(ranks - 1)));
  CHECK(messages.back() == messages.front());
}

TEST_CASE("impossible sizes are config errors", "[head][errors]") {
  HeadCase classes = small_case();
  classes.classes = 0;
  HeadCase columns = small_case();
  columns.columns = 0;

  CHECK_THROWS_WITH(Bench(classes, 4), Catch::Contains("0 classes") && Catch::Contains("data.num_classes"));
  CHECK_THROWS_WITH(Bench(columns, 4), Catch::Contains("0 embedding dimensions") && Catch::Contains("model.embedding"));
  CHECK_THROWS_WITH(Bench(small_case(), 0), Catch::Contains("0 samples per rank") && Catch::Contains("global_batch"));
}

TEST_CASE("a batch of another shape is an error", "[head][errors]") {
  Bench bench(small_case(), 4);
  const Tensor wide = bench.cpu->tensor({4, 7});

  CHECK_THROWS_WITH(bench.head->forward_backward(wide, bench.labels, RowUpdate::none, bench.state),
                    Catch::Contains("[4, 6]") && Catch::Contains("[4, 7]"));
  bench.labels.pop_back();
  CHECK_THROWS_WITH(bench.step(RowUpdate::none), Catch::Contains("with 3 labels"));
  CHECK_THROWS_WITH(bench.head->top_classes(wide, 3), Catch::Contains("top_classes needs"));
  CHECK_THROWS_WITH(bench.head->top_classes(bench.embeddings, 0), Catch::Contains("k >= 1"));
}

TEST_CASE("a fused update may not drop deferred ones", "[head][errors]") {
  Bench bench(small_case(), 4);
  bench.step(RowUpdate::deferred);

  CHECK_THROWS_WITH(bench.step(RowUpdate::fused), Catch::Contains("1 deferred") && Catch::Contains("commit()"));
  bench.head->commit(bench.state);
  CHECK_NOTHROW(bench.step(RowUpdate::fused));
}

TEST_CASE("rows stay as they are without an update, when skipped and before commit", "[head][rules]") {
  Bench bench(small_case(), 8);
  const std::vector<float> before = bench.weight();

  bench.step(RowUpdate::none);
  CHECK(bench.weight() == before);
  bench.head->commit(bench.state);
  CHECK(bench.weight() == before);

  set_state(bench.state, 0.1F, true);
  bench.step(RowUpdate::fused);
  CHECK(bench.weight() == before);
  bench.step(RowUpdate::deferred);
  bench.head->commit(bench.state);
  CHECK(bench.weight() == before);

  set_state(bench.state, 0.1F);
  bench.step(RowUpdate::deferred);
  CHECK(bench.weight() == before);
  bench.head->commit(bench.state);
  CHECK(bench.weight() != before);
}

TEST_CASE("the learning rate of the step state is read when the update runs", "[head][rules]") {
  Bench slow(small_case(), 8);
  Bench fast(small_case(), 8);
  const std::vector<float> before = slow.weight();
  set_state(slow.state, 0.01F);
  set_state(fast.state, 0.04F);

  slow.step(RowUpdate::fused);
  fast.step(RowUpdate::fused);

  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK(fast.weight()[i] - before[i] == Approx(4 * (slow.weight()[i] - before[i])).margin(1e-7));
  }
}

TEST_CASE("selected rows alone are compared and moved", "[head][selector]") {
  const HeadCase c{head_config(Loss::cosface), 20, 6};
  Bench bench(c, 5, std::make_unique<ThirdRows>());
  const std::vector<float> before = bench.weight();
  std::vector<std::int64_t> selected;
  for (std::int64_t id = 0; id < 20; ++id) {
    const bool positive = std::find(bench.labels.begin(), bench.labels.end(), id) != bench.labels.end();
    if (positive || id % 3 == 0) selected.push_back(id);
  }
  Values rows;
  std::vector<std::int64_t> labels;
  for (const std::int64_t id : selected) rows.insert(rows.end(), before.begin() + id * 6, before.begin() + id * 6 + 6);
  for (const std::int64_t label : bench.labels) {
    labels.push_back(std::find(selected.begin(), selected.end(), label) - selected.begin());
  }
  const auto x = bench.embeddings.host_span<float>();
  DenseHead dense(c.head, selected.size(), 6, rows);
  const DenseResult expected = dense.forward_backward(Values(x.begin(), x.end()), labels);
  dense.sgd(expected.d_weight, expected.d_bias, c.rate, c.momentum, false, 0);

  const head::HeadResult result = bench.step(RowUpdate::fused);

  const std::vector<float> after = bench.weight();
  CHECK(result.loss == Approx(expected.loss).epsilon(head_tolerance::kLoss));
  CHECK(result.correct == expected.correct);
  std::size_t place = 0;
  for (std::int64_t id = 0; id < 20; ++id) {
    const bool chosen = std::find(selected.begin(), selected.end(), id) != selected.end();
    for (std::int64_t d = 0; d < 6; ++d) {
      const auto at = static_cast<std::size_t>(id * 6 + d);
      const double wanted = chosen ? dense.weight[place++] : static_cast<double>(before[at]);
      CHECK(static_cast<double>(after[at]) == Approx(wanted).margin(1e-6));
    }
  }
}

TEST_CASE("micro-batches of one commit must select the same rows", "[head][selector][errors]") {
  Bench bench({head_config(Loss::cosface), 20, 6}, 5, std::make_unique<ThirdRows>());
  bench.step(RowUpdate::deferred);
  backend::StepState state;
  state.step = 1;
  std::memcpy(bench.state.raw(), &state, sizeof(state));

  CHECK_THROWS_WITH(bench.step(RowUpdate::deferred), Catch::Contains("different selected rows"));
}

TEST_CASE("the best classes are those of the dense logits, ties to the smaller id", "[head][top]") {
  const auto loss = GENERATE(Loss::softmax, Loss::arcface);
  const int ranks = GENERATE(1, 2, 3);
  const int k = GENERATE(1, 3, 7, 50);
  HeadCase c{head_config(loss), 7 * ranks - 2, 4};
  c.head.tile = 3;
  const std::int64_t batch = 4;
  const std::int64_t count = 6;  // more than the head's batch
  const Values rows = initial_rows(c);
  std::vector<std::vector<std::vector<std::int64_t>>> found(static_cast<std::size_t>(ranks));

  run_thread_ranks(ranks, [&](comm::Communicator& communicator) {
    const auto cpu = backend::make_cpu_backend({kTeam, {}});
    const auto head = head::make_sharded_classifier(options_of(c, batch), *cpu, communicator);
    // Rows 1 and 3 of every shard equal row 0: ties.
    const auto weight = head->row_state()[0].tensor.host_span<float>();
    for (const std::size_t copy : {1U, 3U}) std::copy_n(weight.begin(), 4, weight.begin() + 4 * copy);
    const Tensor embeddings = cpu->tensor({count, 4});
    const HeadStep step = random_step(c, count, 60 + static_cast<std::uint64_t>(communicator.rank()));
    for (std::size_t i = 0; i < step.x.size(); ++i) embeddings.data<float>()[i] = static_cast<float>(step.x[i]);
    found[static_cast<std::size_t>(communicator.rank())] = head->top_classes(embeddings, k);
  });

  for (int rank = 0; rank < ranks; ++rank) {
    Values tied = rows;
    for (int r = 0; r < ranks; ++r) {
      const auto first = rows.begin() + head::shard_rows(c.classes, r, ranks).begin * 4;
      for (const int copy : {1, 3}) std::copy_n(first, 4, tied.begin() + (first - rows.begin()) + 4 * copy);
    }
    const HeadStep step = random_step(c, count, 60 + static_cast<std::uint64_t>(rank));
    for (std::int64_t i = 0; i < count; ++i) {
      Values z;
      for (std::int64_t id = 0; id < c.classes; ++id) {
        double product = 0;
        double squares = 0;
        for (std::int64_t d = 0; d < 4; ++d) {
          const double w = tied[static_cast<std::size_t>(id * 4 + d)];
          product += w * step.x[static_cast<std::size_t>(i * 4 + d)];
          squares += w * w;
        }
        z.push_back(loss == Loss::softmax ? product : product / std::sqrt(squares));
      }
      std::vector<std::int64_t> order(z.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        return z[static_cast<std::size_t>(a)] > z[static_cast<std::size_t>(b)];
      });
      order.resize(std::min(order.size(), static_cast<std::size_t>(k)));
      CHECK(found[static_cast<std::size_t>(rank)][static_cast<std::size_t>(i)] == order);
    }
  }
}

TEST_CASE("evaluation between micro-batches leaves the pending ones alone", "[head][top]") {
  Bench plain(small_case(), 8);
  Bench evaluated(small_case(), 8);
  plain.step(RowUpdate::deferred);
  evaluated.step(RowUpdate::deferred);

  evaluated.head->top_classes(evaluated.embeddings, 5);
  plain.head->commit(plain.state);
  evaluated.head->commit(evaluated.state);

  CHECK(plain.weight() == evaluated.weight());
}

TEST_CASE("the steady state asks the system for no memory", "[head][memory]") {
  const auto update = GENERATE(RowUpdate::fused, RowUpdate::deferred);
  Bench bench(small_case(), 8);
  const auto run = [&] {
    bench.step(update);
    if (update == RowUpdate::fused) return;
    bench.step(update);
    bench.head->commit(bench.state);
  };
  run();
  const std::uint64_t before = bench.cpu->memory_statistics().system_allocations;
  const std::size_t live = bench.cpu->memory_statistics().live_bytes;

  for (int i = 0; i < 3; ++i) run();

  CHECK(bench.cpu->memory_statistics().system_allocations == before);
  CHECK(bench.cpu->memory_statistics().live_bytes == live);
}

}  // namespace plsc::test
