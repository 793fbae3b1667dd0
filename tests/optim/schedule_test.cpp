#include "plsc/optim/schedule.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace plsc::optim {

namespace {

config::OptimConfig with_kind(config::ScheduleKind kind) {
  config::OptimConfig config;
  config.lr = 0.4;
  config.schedule.kind = kind;
  return config;
}

}  // namespace

TEST_CASE("constant schedule never changes", "[schedule]") {
  const Schedule schedule(with_kind(config::ScheduleKind::constant), 10, 100);

  CHECK(schedule.at(0) == 0.4);
  CHECK(schedule.at(99) == 0.4);
}

TEST_CASE("step schedule multiplies by gamma at each milestone epoch", "[schedule]") {
  config::OptimConfig config = with_kind(config::ScheduleKind::step);
  config.schedule.milestones = {2, 4.5};
  config.schedule.gamma = 0.1;

  const Schedule schedule(config, 10, 100);

  CHECK(schedule.at(19) == 0.4);
  CHECK(schedule.at(20) == Approx(0.04));
  CHECK(schedule.at(44) == Approx(0.04));
  CHECK(schedule.at(45) == Approx(0.004));
}

TEST_CASE("polynomial schedule falls to the final factor", "[schedule]") {
  config::OptimConfig config = with_kind(config::ScheduleKind::polynomial);
  config.schedule.power = 2;
  config.schedule.final_factor = 0.1;

  const Schedule schedule(config, 10, 100);

  CHECK(schedule.at(0) == Approx(0.4));
  CHECK(schedule.at(50) == Approx(0.4 * (0.1 + 0.9 * 0.25)));
  CHECK(schedule.at(100) == Approx(0.04));
}

TEST_CASE("cosine schedule is half way at half time", "[schedule]") {
  const Schedule schedule(with_kind(config::ScheduleKind::cosine), 10, 100);

  CHECK(schedule.at(0) == Approx(0.4));
  CHECK(schedule.at(50) == Approx(0.2));
  CHECK(schedule.at(100) == Approx(0.0).margin(1e-12));
}

TEST_CASE("warm-up rises linearly and decay runs over the rest", "[schedule]") {
  config::OptimConfig config = with_kind(config::ScheduleKind::polynomial);
  config.schedule.warmup_epochs = 2;
  config.schedule.warmup_start = 0.5;

  const Schedule schedule(config, 10, 120);

  CHECK(schedule.at(0) == Approx(0.2));
  CHECK(schedule.at(10) == Approx(0.3));
  CHECK(schedule.at(20) == Approx(0.4));
  CHECK(schedule.at(70) == Approx(0.2));
}

}  // namespace plsc::optim
