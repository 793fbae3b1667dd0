#include "plsc/train/run_log.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "plsc/config/load.h"
#include "plsc/core/error.h"
#include "plsc/core/log.h"

namespace plsc::train {

namespace {

constexpr Phase kPhases[] = {Phase::data,          Phase::forward, Phase::head,       Phase::backward,
                             Phase::communication, Phase::update,  Phase::evaluation, Phase::checkpoint};

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.flush();
  if (!file) {
    throw Error(ErrorCode::io, fmt::format("cannot write {} (no permission, or the disk is full). Choose another "
                                           "train.output or make room.",
                                           path.string()));
  }
}

void make_folder(const std::filesystem::path& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (failure) {
    throw Error(ErrorCode::io, fmt::format("cannot make the folder {} ({}). Choose another train.output.",
                                           path.string(), failure.message()));
  }
}

/// Training itself: what is not evaluation or saving.
double step_seconds(const PhaseTimes& times) {
  return times.wall - times[Phase::evaluation] - times[Phase::checkpoint];
}

}  // namespace

void StepReport::add(const StepOutcome& outcome, double rate) {
  ++steps;
  valid += outcome.valid;
  correct += outcome.correct;
  loss_sum += outcome.loss * static_cast<double>(outcome.valid);
  gradient_norm = outcome.gradient_norm;
  learning_rate = rate;
}

RunLog::RunLog(const config::Config& config, std::int64_t total_steps, double steps_per_epoch, bool active)
    : config_(config),
      total_steps_(total_steps),
      steps_per_epoch_(steps_per_epoch),
      active_(active),
      output_(config.train.output) {}

void RunLog::begin(std::int64_t first_step, PhaseTimer& timer) {
  timer.take_interval();
  if (!active_) return;
  make_folder(output_);
  const std::string yaml = config::to_yaml(config_);
  write_text(output_ / "config.yaml", yaml);
  metrics_ = std::make_unique<MetricsLog>((output_ / "metrics.jsonl").string());
  if (config_.train.tensorboard) {
    events_ = std::make_unique<EventFile>((output_ / "tensorboard").string(), first_step);
    events_->add_text("config", "```yaml\n" + yaml + "```\n");
    events_->flush();
  }
  progress_ = std::make_unique<TrainProgress>(first_step, total_steps_, config_.train.log_every, stderr_output());
}

void RunLog::tick(std::int64_t step, const StepReport& window) {
  if (!active_) return;
  progress_->update({step, epoch_of(step), window.loss(), images_per_second_, window.learning_rate});
}

void RunLog::scalar(const std::string& tag, std::int64_t step, double value) {
  if (events_) events_->add_scalar(tag, step, value);
}

void RunLog::steps(std::int64_t step, const StepReport& window, PhaseTimer& timer) {
  const PhaseTimes times = timer.take_interval();
  for (std::size_t i = 0; i < kPhaseCount; ++i) phases_.seconds[i] += times.seconds[i];
  phases_.wall += times.wall;
  if (!active_) return;
  const double seconds = step_seconds(times);
  const std::int64_t images = window.steps * config_.train.global_batch;
  train_seconds_ += seconds;
  images_ += images;
  images_per_second_ = static_cast<double>(images) / seconds;

  MetricRecord record{{{"kind", std::string("train")}, {"step", step}, {"epoch", epoch_of(step)}}};
  const auto put = [&](const std::string& key, const std::string& tag, double value) {
    record.fields.emplace_back(key, value);
    scalar(tag, step, value);
  };
  put("loss", "train/loss", window.loss());
  put("top1", "train/top1", window.top1());
  put("lr", "train/lr", window.learning_rate);
  put("gradient_norm", "train/gradient_norm", window.gradient_norm);
  put("images_per_second", "train/images_per_second", images_per_second_);
  for (const Phase phase : kPhases) {
    if (phase == Phase::evaluation || phase == Phase::checkpoint) continue;
    const double milliseconds = 1e3 * times[phase] / static_cast<double>(window.steps);
    put(fmt::format("ms_{}", name_of(phase)), fmt::format("time_ms/{}", name_of(phase)), milliseconds);
  }
  metrics_->write(record);
  if (events_) events_->flush();
  tick(step, window);
}

void RunLog::evaluation(std::int64_t step, const std::vector<eval::NamedResult>& results) {
  if (!active_) return;
  last_metrics_ = eval::to_scalars(results);
  MetricRecord record{{{"kind", std::string("evaluation")}, {"step", step}, {"epoch", epoch_of(step)}}};
  for (const auto& [name, value] : last_metrics_) {
    record.fields.emplace_back(name, value);
    scalar("eval/" + name, step, value);
  }
  metrics_->write(record);
  if (events_) events_->flush();
  progress_->clear();
  log::info(fmt::format("evaluation at step {} (epoch {:.2f})\n{}", step, epoch_of(step), eval::to_table(results)));
}

void RunLog::saved(std::int64_t step, const std::filesystem::path& checkpoint) {
  if (!active_) return;
  progress_->clear();
  log::info(fmt::format("step {}: saved {}", step, checkpoint.string()));
}

void RunLog::finish(const RunResult& result) {
  if (!active_) return;
  progress_->finish();
  nlohmann::ordered_json summary;
  summary["stopped"] = result.stopped;
  summary["step"] = result.step;
  summary["total_steps"] = total_steps_;
  summary["epoch"] = epoch_of(result.step);
  summary["ranks"] = result.ranks;
  summary["images"] = images_;
  summary["seconds"] = phases_.wall;
  summary["images_per_second"] = train_seconds_ > 0 ? static_cast<double>(images_) / train_seconds_ : 0;
  for (const Phase phase : kPhases) summary["phases"][name_of(phase)] = phases_[phase];
  summary["metrics"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : last_metrics_) summary["metrics"][name] = value;
  const auto path_or_null = [](const std::optional<std::filesystem::path>& path) {
    return path ? nlohmann::ordered_json(path->string()) : nlohmann::ordered_json();
  };
  summary["checkpoint"] = path_or_null(result.checkpoint);
  summary["best_checkpoint"] = path_or_null(result.best_checkpoint);
  summary["config"] = (output_ / "config.yaml").string();
  summary["metrics_log"] = (output_ / "metrics.jsonl").string();
  summary["tensorboard"] =
      events_ ? nlohmann::ordered_json((output_ / "tensorboard").string()) : nlohmann::ordered_json();
  summary["peak_bytes"] = result.peak_bytes;
  summary["skipped_samples"] = result.skipped_samples;
  write_text(output_ / "summary.json", summary.dump(2) + "\n");
  log::info(fmt::format("{} after step {} of {}; summary: {}", result.stopped ? "stopped on request" : "finished",
                        result.step, total_steps_, (output_ / "summary.json").string()));
}

}  // namespace plsc::train
