#pragma once
// TrainProgress: the progress line of a training run; on a terminal in place, elsewhere a plain line every few steps.

#include <cstdint>
#include <string>

#include "plsc/core/progress.h"

namespace plsc::train {

struct TrainStatus {
  std::int64_t step = 0;  ///< steps done
  double epoch = 0;
  double loss = 0;
  double images_per_second = 0;  ///< over all ranks, data wait included; 0: not known
  double learning_rate = 0;
};

class TrainProgress {
 public:
  /// `first_step`: steps that were done before (resume). Only rank 0 gives an output that writes.
  TrainProgress(std::int64_t first_step, std::int64_t total_steps, std::int64_t log_every, ProgressOutput output);

  /// After each step.
  void update(const TrainStatus& status);
  /// Before other lines are printed; the next update draws again.
  void clear() { line_.clear(); }
  /// Leaves the last line standing. Without it the destructor takes the line away.
  void finish();

 private:
  std::string text(const TrainStatus& status) const;           ///< plain line
  std::string terminal_text(const TrainStatus& status) const;  ///< within the terminal's width
  std::string remaining(const TrainStatus& status) const;

  std::int64_t total_steps_;
  std::int64_t log_every_;
  StatusLine line_;
  RateMeter steps_;  ///< per second, evaluation and saving included
  double last_time_ = 0;
  TrainStatus last_;
};

}  // namespace plsc::train
