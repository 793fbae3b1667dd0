#include "head/head_run.h"

#include <algorithm>
#include <stdexcept>

#include "support/thread_ranks.h"

namespace plsc::test {

namespace {

constexpr std::uint64_t kSeed = 7;

std::size_t to_size(std::int64_t value) { return static_cast<std::size_t>(value); }

/// This rank's samples of a step, padded to `batch`.
void cut(const HeadStep& step, const HeadCase& c, const head::RowShard& part, const Tensor& embeddings,
         std::vector<std::int64_t>& labels) {
  std::memset(embeddings.raw(), 0, embeddings.bytes());
  std::fill(labels.begin(), labels.end(), -1);
  for (std::int64_t i = 0; i < part.size; ++i) {
    labels[to_size(i)] = step.labels[to_size(part.begin + i)];
    for (std::int64_t d = 0; d < c.columns; ++d) {
      embeddings.data<float>()[i * c.columns + d] =
          static_cast<float>(step.x[to_size((part.begin + i) * c.columns + d)]);
    }
  }
}

/// [G, columns] from every rank's [batch, columns].
Values join(const Tensor& mine, std::int64_t total, comm::Communicator& communicator) {
  const std::int64_t batch = mine.shape()[0];
  const std::int64_t columns = mine.shape()[1];
  std::vector<float> all(to_size(communicator.size() * batch * columns));
  communicator.all_gather(std::as_bytes(mine.host_span<float>()), std::as_writable_bytes(std::span(all)));
  Values out;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    const auto begin = all.begin() + rank * batch * columns;
    out.insert(out.end(), begin, begin + head::shard_rows(total, rank, communicator.size()).size * columns);
  }
  return out;
}

head::RowState join_rows(const head::RowState& mine, std::int64_t total, comm::Communicator& communicator) {
  const std::int64_t columns = mine.tensor.shape()[1];
  std::vector<std::size_t> counts;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    counts.push_back(to_size(head::shard_rows(total, rank, communicator.size()).size * columns) * sizeof(float));
  }
  Tensor all(heap_memory(), {total, columns}, DType::f32);
  communicator.all_gather_v(std::as_bytes(mine.tensor.host_span<float>()),
                            std::as_writable_bytes(all.host_span<float>()), counts);
  return {mine.name, all};
}

}  // namespace

Values HeadOutcome::rows(const std::string& name) const {
  for (const head::RowState& entry : state) {
    if (entry.name != name) continue;
    const auto values = entry.tensor.host_span<float>();
    return {values.begin(), values.end()};
  }
  throw std::runtime_error("no row state " + name);
}

config::HeadConfig head_config(config::Loss loss, config::MarginGradient gradient) {
  config::HeadConfig head;
  head.loss = loss;
  head.gradient = gradient;
  head.scale = 16;
  head.margin = loss == config::Loss::cosface ? 0.35F : (loss == config::Loss::combined ? 0.3F : 0.5F);
  if (loss == config::Loss::combined) {
    head.m1 = 0.9F;
    head.m3 = 0.2F;
  }
  head.init_std = 0.1F;
  return head;
}

head::ClassifierOptions options_of(const HeadCase& c, std::int64_t batch) {
  head::ClassifierOptions options;
  options.head = c.head;
  options.num_classes = c.classes;
  options.embedding = c.columns;
  options.batch = batch;
  options.seed = kSeed;
  options.momentum = c.momentum;
  options.nesterov = c.nesterov;
  options.weight_decay = c.weight_decay;
  return options;
}

Values initial_rows(const HeadCase& c) {
  Values rows;
  for (std::int64_t id = 0; id < c.classes; ++id) {
    CounterRng rng(kSeed, RandomPurpose::class_rows, static_cast<std::uint64_t>(id));
    for (std::int64_t d = 0; d < c.columns; ++d) rows.push_back(c.head.init_std * static_cast<float>(rng.normal()));
  }
  return rows;
}

HeadStep random_step(const HeadCase& c, std::int64_t samples, std::uint64_t seed) {
  HeadStep step;
  CounterRng rng(seed, RandomPurpose::test, 0);
  for (std::int64_t i = 0; i < samples; ++i) {
    const std::int64_t label = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(c.classes)));
    CounterRng centre(1, RandomPurpose::test, static_cast<std::uint64_t>(label));
    step.labels.push_back(label);
    for (std::int64_t d = 0; d < c.columns; ++d) {
      step.x.push_back(static_cast<float>(centre.normal() + 0.5 * rng.normal()));
    }
  }
  return step;
}

void set_state(const Tensor& state, float rate, bool skip) {
  backend::StepState values;
  values.learning_rate = 1e6F;  // the backbone's, which must not be taken
  values.gradient_scale = 1e6F;
  values.head_learning_rate = rate;
  values.skip = skip ? 1 : 0;
  std::memcpy(state.raw(), &values, sizeof(values));
}

HeadOutcome run_head(const HeadCase& c, const std::vector<HeadStep>& steps, comm::Communicator& communicator) {
  std::size_t most = 1;
  for (const HeadStep& step : steps) most = std::max(most, step.labels.size());
  const std::int64_t batch = head::shard_rows(static_cast<std::int64_t>(most), 0, communicator.size()).size;
  const auto cpu = backend::make_cpu_backend({c.threads, {}});
  const auto head = head::make_sharded_classifier(options_of(c, batch), *cpu, communicator);
  const Tensor state = backend::make_step_state(cpu->memory());
  const Tensor embeddings = cpu->tensor({batch, c.columns});
  std::vector<std::int64_t> labels(to_size(batch));
  HeadOutcome outcome;
  for (const HeadStep& step : steps) {
    const auto total = static_cast<std::int64_t>(step.labels.size());
    set_state(state, c.rate, step.skip);
    cut(step, c, head::shard_rows(total, communicator.rank(), communicator.size()), embeddings, labels);
    head::HeadResult result = head->forward_backward(embeddings, labels, step.update, state);
    result.correct = communicator.all_reduce_value(result.correct, comm::ReduceOp::sum);
    outcome.d_x.push_back(join(result.d_embeddings, total, communicator));
    if (step.commit) head->commit(state);
    result.d_embeddings = Tensor();
    outcome.results.push_back(result);
  }
  for (const head::RowState& entry : head->row_state()) {
    outcome.state.push_back(join_rows(entry, c.classes, communicator));
  }
  outcome.workspace_bytes = head->peak_workspace_bytes();
  return outcome;
}

HeadOutcome run_head(const HeadCase& c, const std::vector<HeadStep>& steps, int ranks) {
  std::vector<HeadOutcome> outcomes(to_size(ranks));
  run_thread_ranks(ranks, [&](comm::Communicator& communicator) {
    outcomes[to_size(communicator.rank())] = run_head(c, steps, communicator);
  });
  for (const HeadOutcome& other : outcomes) {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const bool same = std::memcmp(&other.results[i].loss, &outcomes[0].results[i].loss, sizeof(double)) == 0;
      if (!same || other.results[i].valid != outcomes[0].results[i].valid) {
        throw std::runtime_error("ranks disagree on the loss of a step");
      }
    }
  }
  return std::move(outcomes[0]);
}

}  // namespace plsc::test
