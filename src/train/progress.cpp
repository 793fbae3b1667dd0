#include "plsc/train/progress.h"

#include <fmt/format.h>

#include <cmath>

namespace plsc::train {

namespace {

double fraction_of(std::int64_t step, std::int64_t total) {
  return total > 0 ? static_cast<double>(step) / static_cast<double>(total) : 1.0;
}

std::string speed_text(const TrainStatus& status) {
  return (status.images_per_second > 0 ? format_count(status.images_per_second) : std::string("--")) + " images/s";
}

}  // namespace

TrainProgress::TrainProgress(std::int64_t first_step, std::int64_t total_steps, std::int64_t log_every,
                             ProgressOutput output)
    : total_steps_(total_steps), log_every_(log_every), line_(std::move(output)) {
  last_.step = first_step;
  if (line_.visible()) last_time_ = line_.output().now();
}

void TrainProgress::update(const TrainStatus& status) {
  if (!line_.visible()) return;
  const double now = line_.output().now();
  steps_.add(static_cast<double>(status.step - last_.step), now - last_time_);
  last_time_ = now;
  last_ = status;
  if (line_.output().is_terminal) {
    if (line_.due()) line_.draw(terminal_text(status));
  } else if (status.step % log_every_ == 0 || status.step == total_steps_) {
    line_.print(text(status));
  }
}

void TrainProgress::finish() {
  if (line_.visible() && line_.output().is_terminal) line_.print(terminal_text(last_));
}

std::string TrainProgress::remaining(const TrainStatus& status) const {
  const double rate = steps_.rate();
  return format_duration(rate > 0 ? static_cast<double>(total_steps_ - status.step) / rate : -1);
}

std::string TrainProgress::text(const TrainStatus& status) const {
  const double percent = std::floor(100 * fraction_of(status.step, total_steps_));
  return fmt::format("step {}/{} ({:.0f}%)  epoch {:.2f}  loss {:.4f}  {}  lr {:.4g}  ETA {}", status.step,
                     total_steps_, percent, status.epoch, status.loss, speed_text(status), status.learning_rate,
                     remaining(status));
}

std::string TrainProgress::terminal_text(const TrainStatus& status) const {
  const double fraction = fraction_of(status.step, total_steps_);
  return compose_line({{fmt::format("{:3.0f}%", std::floor(100 * fraction)), 0},
                       {fmt::format("{}/{}", status.step, total_steps_), 3},
                       {fmt::format("epoch {:.2f}", status.epoch), 4},
                       {fmt::format("loss {:.4f}", status.loss), 1},
                       {speed_text(status), 5},
                       {fmt::format("lr {:.4g}", status.learning_rate), 6},
                       {"ETA " + remaining(status), 2}},
                      fraction, line_.width());
}

}  // namespace plsc::train
