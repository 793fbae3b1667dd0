#include "plsc/train/phase_timer.h"

#include <fmt/format.h>

#include "plsc/core/error.h"

namespace plsc::train {

const char* name_of(Phase phase) {
  switch (phase) {
    case Phase::data: return "data";
    case Phase::forward: return "forward";
    case Phase::head: return "head";
    case Phase::backward: return "backward";
    case Phase::communication: return "communication";
    case Phase::update: return "update";
    case Phase::evaluation: return "evaluation";
    case Phase::checkpoint: return "checkpoint";
  }
  return "unknown";
}

std::chrono::nanoseconds PhaseTimer::steady_now() { return std::chrono::steady_clock::now().time_since_epoch(); }

PhaseTimer::PhaseTimer(TimeSource now) : now_(now), last_(now()) {}

void PhaseTimer::enter(Phase phase) {
  if (depth_ == kMaxDepth) {
    throw Error(ErrorCode::internal, fmt::format("Phase {} is nested deeper than {} phases (a scope calls itself). "
                                                 "Report this as a bug.",
                                                 name_of(phase), kMaxDepth));
  }
  charge();
  stack_[depth_++] = phase;
}

void PhaseTimer::leave() noexcept {
  charge();
  --depth_;
}

void PhaseTimer::charge() noexcept {
  const std::chrono::nanoseconds now = now_();
  sums_.wall += now - last_;
  if (depth_ > 0) sums_.phases[static_cast<std::size_t>(stack_[depth_ - 1])] += now - last_;
  last_ = now;
}

PhaseTimes PhaseTimer::since(const Sums& start) {
  using Seconds = std::chrono::duration<double>;
  charge();
  PhaseTimes times;
  for (std::size_t i = 0; i < kPhaseCount; ++i) times.seconds[i] = Seconds(sums_.phases[i] - start.phases[i]).count();
  times.wall = Seconds(sums_.wall - start.wall).count();
  return times;
}

PhaseTimes PhaseTimer::totals() { return since({}); }

PhaseTimes PhaseTimer::take_interval() {
  const PhaseTimes times = since(reported_);
  reported_ = sums_;
  return times;
}

}  // namespace plsc::train
