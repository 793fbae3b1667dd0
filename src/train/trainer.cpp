#include "plsc/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plsc/core/error.h"
#include "plsc/core/log.h"

namespace plsc::train {

Span span_of(const config::TrainConfig& config, std::uint64_t samples) {
  Span span;
  span.samples_per_epoch = samples;
  span.steps_per_epoch = static_cast<double>(samples) / static_cast<double>(config.global_batch);
  span.total_steps = config.max_steps > 0 ? config.max_steps
                                          : static_cast<std::int64_t>(std::ceil(config.epochs * span.steps_per_epoch));
  return span;
}

Trainer::Trainer(const config::Config& config, std::uint64_t samples, Method& method, const Evaluation& evaluation,
                 backend::Backend& backend, comm::Communicator& communicator, PhaseTimer& timer)
    : config_(config),
      method_(&method),
      evaluation_(&evaluation),
      backend_(&backend),
      communicator_(&communicator),
      timer_(&timer),
      span_(span_of(config.train, samples)),
      schedule_(config.optim, span_.steps_per_epoch, span_.total_steps),
      checkpoints_(config, communicator),
      control_(communicator.duplicate()),
      stop_(*control_),
      log_(config, span_.total_steps, span_.steps_per_epoch, communicator.rank() == 0) {}

void Trainer::resume(const std::filesystem::path& checkpoint) {
  step_ = checkpoints_.resume(checkpoint, *method_);
  newest_checkpoint_ = checkpoint;
  log::info(fmt::format("resumed {} at step {} of {}", checkpoint.string(), step_, span_.total_steps));
}

RunEnd Trainer::run(const std::function<bool()>& stop_requested) {
  log_.begin(step_, *timer_);
  method_->start(step_);
  bool stopped = false;
  while (step_ < span_.total_steps && !stopped) {
    step();
    const bool last = step_ == span_.total_steps;
    if (last || step_ % config_.train.log_every == 0) {
      report();
    } else {
      log_.tick(step_, window_);
    }
    stopped = stop_.agree(stop_requested()) && !last;
    const config::CheckpointConfig& saving = config_.checkpoint;
    if (last || due(config_.eval.every_epochs * span_.steps_per_epoch)) evaluate();
    if (last || stopped ||
        due(saving.every_steps > 0 ? static_cast<double>(saving.every_steps)
                                   : saving.every_epochs * span_.steps_per_epoch)) {
      save();
    }
  }
  if (communicator_->rank() == 0) {
    log_.finish({stopped, step_, newest_checkpoint_, checkpoints_.best(), backend_->memory_statistics().peak_bytes,
                 communicator_->size(), method_->skipped_samples()});
  }
  return stopped ? RunEnd::stopped : RunEnd::finished;
}

/// Whether step_ is the first at or behind a multiple of `every_steps`.
bool Trainer::due(double every_steps) const {
  if (every_steps <= 0) return false;
  return std::floor(static_cast<double>(step_) / every_steps) >
         std::floor(static_cast<double>(step_ - 1) / every_steps);
}

void Trainer::step() {
  const double rate = schedule_.at(step_);
  const StepOutcome outcome = method_->step(step_, rate);
  if (!outcome.finite) {
    CollectiveError error(
        Error(ErrorCode::numeric,
              fmt::format(
                  "the loss or its gradient is not finite (loss {}, learning rate {:.3g}). Lower optim.lr, add "
                  "optim.schedule.warmup_epochs, or lower head.margin; --resume continues from the newest checkpoint.",
                  outcome.loss, rate)));
    error.add_context(fmt::format("step {}", step_));
    throw error;
  }
  ++step_;
  metrics_.clear();
  window_.add(outcome, rate);
}

void Trainer::report() {
  {
    const PhaseTimer::Scope scope(*timer_, Phase::communication);
    window_.correct = communicator_->all_reduce_value(window_.correct, comm::ReduceOp::sum);
  }
  log_.steps(step_, window_, *timer_);
  window_ = {};
}

void Trainer::evaluate() {
  if (evaluation_->empty()) return;
  const PhaseTimer::Scope scope(*timer_, Phase::evaluation);
  EvaluatedNetwork network;
  network.batch = method_->batch();
  network.dimension = method_->dimension();
  network.embed = [this](const Tensor& images, std::span<float> out) { method_->embed(images, out); };
  network.top_classes = [this](const float* embeddings, std::int64_t count) {
    const auto elements = static_cast<std::size_t>(count * method_->dimension());
    return method_->top_classes({embeddings, elements}, count, eval::kClosedSetRanks);
  };
  const std::vector<eval::NamedResult> results = evaluation_->run(network, *communicator_);
  metrics_ = eval::to_scalars(results);
  log_.evaluation(step_, results);
}

void Trainer::save() {
  const PhaseTimer::Scope scope(*timer_, Phase::checkpoint);
  newest_checkpoint_ = checkpoints_.save(*method_, step_, metrics_);
  log_.saved(step_, *newest_checkpoint_);
}

}  // namespace plsc::train
