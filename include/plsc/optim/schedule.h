#pragma once
// Learning rate as a pure function of the step.

#include <cstdint>

#include "plsc/config/config.h"

namespace plsc::optim {

class Schedule {
 public:
  /// steps_per_epoch may be fractional (batches run across epoch ends).
  Schedule(const config::OptimConfig& config, double steps_per_epoch, std::int64_t total_steps);

  /// Rate of step `step` (0-based). Warm-up: linear from warmup_start*lr, reaching lr at step warmup_epochs *
  /// steps_per_epoch; then the decay runs over the remaining steps:
  ///   constant    lr
  ///   step        lr * gamma^(milestones passed), milestones in epochs from the start
  ///   polynomial  lr * (f + (1 - f) * (1 - t)^power), t in [0, 1), f = final_factor
  ///   cosine      lr * (f + (1 - f) * (1 + cos(pi t)) / 2)
  double at(std::int64_t step) const;

 private:
  config::ScheduleConfig config_;
  double base_;
  double steps_per_epoch_;
  double warmup_steps_;
  double total_steps_;
};

}  // namespace plsc::optim
