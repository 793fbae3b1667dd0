#include "plsc/train/phase_timer.h"

#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "plsc/core/error.h"

namespace plsc::train {

namespace {

std::chrono::nanoseconds fake_time{0};

std::chrono::nanoseconds fake_now() { return fake_time; }

void pass(int seconds) { fake_time += std::chrono::seconds(seconds); }

}  // namespace

TEST_CASE("time counts for the innermost phase only", "[phase_timer]") {
  PhaseTimer timer(fake_now);

  pass(1);
  {
    const PhaseTimer::Scope backward(timer, Phase::backward);
    pass(2);
    {
      const PhaseTimer::Scope communication(timer, Phase::communication);
      pass(4);
      const PhaseTimer::Scope again(timer, Phase::backward);
      pass(8);
    }
    pass(16);
  }
  pass(32);

  const PhaseTimes times = timer.totals();
  CHECK(times[Phase::backward] == 26);
  CHECK(times[Phase::communication] == 4);
  CHECK(times[Phase::forward] == 0);
  CHECK(times.wall == 63);
}

TEST_CASE("intervals start where the last one ended", "[phase_timer]") {
  PhaseTimer timer(fake_now);
  const PhaseTimer::Scope data(timer, Phase::data);
  pass(3);
  const PhaseTimes first = timer.take_interval();
  pass(5);
  {
    const PhaseTimer::Scope head(timer, Phase::head);
    pass(7);
  }

  const PhaseTimes second = timer.take_interval();

  CHECK(first[Phase::data] == 3);
  CHECK(first.wall == 3);
  CHECK(second[Phase::data] == 5);
  CHECK(second[Phase::head] == 7);
  CHECK(second.wall == 12);
  CHECK(timer.totals()[Phase::data] == 8);
  CHECK(timer.take_interval().wall == 0);
}

TEST_CASE("a scope that an exception leaves is closed", "[phase_timer]") {
  PhaseTimer timer(fake_now);

  try {
    const PhaseTimer::Scope scope(timer, Phase::update);
    pass(1);
    throw 0;
  } catch (int) {
  }
  pass(2);

  CHECK(timer.totals()[Phase::update] == 1);
}

TEST_CASE("endless nesting is an error", "[phase_timer][error]") {
  PhaseTimer timer(fake_now);
  std::vector<std::unique_ptr<PhaseTimer::Scope>> scopes;
  std::string message;

  try {
    for (int i = 0; i < 100; ++i) scopes.push_back(std::make_unique<PhaseTimer::Scope>(timer, Phase::head));
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::internal);
    message = error.what();
  }

  CHECK(scopes.size() == 16);
  CHECK_THAT(message, Catch::Contains("Phase head is nested deeper than 16 phases"));
}

TEST_CASE("the steady clock is the default", "[phase_timer]") {
  PhaseTimer timer;

  const PhaseTimes times = timer.totals();

  CHECK(times.wall >= 0);
  CHECK(times[Phase::data] == 0);
}

TEST_CASE("every phase has a name of its own", "[phase_timer]") {
  std::set<std::string> names;

  for (std::size_t i = 0; i < kPhaseCount; ++i) names.insert(name_of(static_cast<Phase>(i)));

  CHECK(names.size() == kPhaseCount);
  CHECK(names.count("unknown") == 0);
  CHECK(std::string(name_of(Phase::checkpoint)) == "checkpoint");
}

}  // namespace plsc::train
