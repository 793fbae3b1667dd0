#pragma once
// PhaseTimer: where the time of a step goes (contract C11). Phases nest; time counts for the innermost one only. One
// thread; no allocation.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace plsc::train {

enum class Phase : std::uint8_t { data, forward, head, backward, communication, update, evaluation, checkpoint };
inline constexpr std::size_t kPhaseCount = 8;

const char* name_of(Phase phase);

struct PhaseTimes {
  std::array<double, kPhaseCount> seconds{};  ///< by Phase
  double wall = 0;                            ///< seconds that passed in all, time outside of phases included

  double operator[](Phase phase) const { return seconds[static_cast<std::size_t>(phase)]; }
};

class PhaseTimer {
 public:
  using TimeSource = std::chrono::nanoseconds (*)();

  explicit PhaseTimer(TimeSource now = steady_now);
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;

  /// Time between construction and destruction counts for `phase`, except what inner scopes take.
  class Scope {
   public:
    Scope(PhaseTimer& timer, Phase phase) : timer_(timer) { timer_.enter(phase); }
    ~Scope() { timer_.leave(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    PhaseTimer& timer_;
  };

  /// Since construction; open scopes count up to now.
  PhaseTimes totals();
  /// Since the last call of this function, or construction.
  PhaseTimes take_interval();

 private:
  static constexpr std::size_t kMaxDepth = 16;
  struct Sums {
    std::array<std::chrono::nanoseconds, kPhaseCount> phases{};
    std::chrono::nanoseconds wall{};
  };

  static std::chrono::nanoseconds steady_now();
  void enter(Phase phase);  ///< throws Error{internal} when scopes nest too deep
  void leave() noexcept;
  PhaseTimes since(const Sums& start);
  void charge() noexcept;  ///< time since the last change goes to the innermost open phase

  TimeSource now_;
  std::chrono::nanoseconds last_;
  std::array<Phase, kMaxDepth> stack_{};
  std::size_t depth_ = 0;
  Sums sums_;
  Sums reported_;
};

}  // namespace plsc::train
