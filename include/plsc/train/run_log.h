#pragma once
// RunLog: everything a run tells people and tools: progress, metrics.jsonl, TensorBoard, the saved configuration and
// summary.json, all below train.output. Only the active rank (0) writes; on the others every call does nothing.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plsc/config/config.h"
#include "plsc/eval/report.h"
#include "plsc/train/event_file.h"
#include "plsc/train/method.h"
#include "plsc/train/metrics_log.h"
#include "plsc/train/phase_timer.h"
#include "plsc/train/progress.h"

namespace plsc::train {

/// Steps since the last report, summed.
struct StepReport {
  std::int64_t steps = 0;
  std::int64_t valid = 0;
  std::int64_t correct = 0;  ///< of this rank until the Trainer sums it over ranks
  double loss_sum = 0;       ///< loss * valid
  double gradient_norm = 0;  ///< of the last step
  double learning_rate = 0;  ///< of the last step

  void add(const StepOutcome& outcome, double rate);
  double loss() const { return valid > 0 ? loss_sum / static_cast<double>(valid) : 0; }
  double top1() const { return valid > 0 ? static_cast<double>(correct) / static_cast<double>(valid) : 0; }
};

struct RunResult {
  bool stopped = false;
  std::int64_t step = 0;
  std::optional<std::filesystem::path> checkpoint;
  std::optional<std::filesystem::path> best_checkpoint;
  std::size_t peak_bytes = 0;
  int ranks = 1;
  std::uint64_t skipped_samples = 0;
};

class RunLog {
 public:
  RunLog(const config::Config& config, std::int64_t total_steps, double steps_per_epoch, bool active);

  /// Makes the output folder and its files. first_step: steps done before.
  void begin(std::int64_t first_step, PhaseTimer& timer);
  /// Progress between reports.
  void tick(std::int64_t step, const StepReport& window);
  /// Progress, and a report of the window; starts a new timing interval.
  void steps(std::int64_t step, const StepReport& window, PhaseTimer& timer);
  void evaluation(std::int64_t step, const std::vector<eval::NamedResult>& results);
  void saved(std::int64_t step, const std::filesystem::path& checkpoint);
  void finish(const RunResult& result);

 private:
  double epoch_of(std::int64_t step) const { return static_cast<double>(step) / steps_per_epoch_; }
  void scalar(const std::string& tag, std::int64_t step, double value);

  config::Config config_;
  std::int64_t total_steps_;
  double steps_per_epoch_;
  bool active_;
  std::filesystem::path output_;
  std::unique_ptr<MetricsLog> metrics_;
  std::unique_ptr<EventFile> events_;
  std::unique_ptr<TrainProgress> progress_;
  double images_per_second_ = 0;
  double train_seconds_ = 0;  ///< steps alone: evaluation and saving left out
  std::int64_t images_ = 0;
  PhaseTimes phases_;
  std::vector<std::pair<std::string, double>> last_metrics_;
};

}  // namespace plsc::train
