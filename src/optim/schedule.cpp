#include "plsc/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace plsc::optim {

using config::ScheduleKind;

Schedule::Schedule(const config::OptimConfig& config, double steps_per_epoch, std::int64_t total_steps)
    : config_(config.schedule),
      base_(config.lr),
      steps_per_epoch_(steps_per_epoch),
      warmup_steps_(config.schedule.warmup_epochs * steps_per_epoch),
      total_steps_(static_cast<double>(total_steps)) {}

double Schedule::at(std::int64_t step) const {
  const auto now = static_cast<double>(step);
  if (now < warmup_steps_) {
    return base_ * (config_.warmup_start + (1 - config_.warmup_start) * now / warmup_steps_);
  }
  const double t = std::clamp((now - warmup_steps_) / std::max(1.0, total_steps_ - warmup_steps_), 0.0, 1.0);
  const auto between = [this](double factor) { return config_.final_factor + (1 - config_.final_factor) * factor; };
  switch (config_.kind) {
    case ScheduleKind::constant: return base_;
    case ScheduleKind::step: {
      const auto passed = std::count_if(config_.milestones.begin(), config_.milestones.end(),
                                        [&](double epoch) { return now >= epoch * steps_per_epoch_; });
      return base_ * std::pow(config_.gamma, static_cast<double>(passed));
    }
    case ScheduleKind::polynomial: return base_ * between(std::pow(1 - t, config_.power));
    case ScheduleKind::cosine: return base_ * between((1 + std::cos(std::numbers::pi * t)) / 2);
  }
  return base_;
}

}  // namespace plsc::optim
