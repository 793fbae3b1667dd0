// The trainer end to end on small sets: what DESIGN's contracts promise about ranks, resuming and stopping.
#include "plsc/train/trainer.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <csignal>
#include <fstream>

#include "plsc/checkpoint/checkpoint.h"
#include "plsc/core/error.h"
#include "support/temp_dir.h"
#include "support/thread_ranks.h"
#include "train/training_run.h"

namespace plsc::train {

namespace {

using test::run_training;
using test::RunOutcome;
using Tensors = std::map<std::string, std::vector<float>>;

constexpr int kClasses = 7;   // uneven over 2, 3 and 4 ranks
constexpr int kPerClass = 3;  // 21 images: batches of 8 run across epoch ends

struct Fixture {
  Fixture() { test::write_training_set(folder / "set", kClasses, kPerClass); }

  config::Config config(const std::string& run) const { return test::small_config(folder / "set", folder / run); }
  std::filesystem::path newest(const std::string& run) const {
    return checkpoint::find_latest(folder / run / "checkpoints").value();
  }

  test::TempDir folder;
};

/// Largest difference of any element, relative to the largest element of its tensor.
double largest_difference(const Tensors& a, const Tensors& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (const auto& [name, values] : a) {
    const std::vector<float>& others = b.at(name);
    REQUIRE(values.size() == others.size());
    double scale = 1e-3;
    for (const float value : values) scale = std::max(scale, std::abs(static_cast<double>(value)));
    for (std::size_t i = 0; i < values.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(values[i]) - static_cast<double>(others[i])) / scale);
    }
  }
  return largest;
}

}  // namespace

TEST_CASE("any number of ranks trains the same model", "[trainer]") {
  const Fixture fixture;
  const RunOutcome alone = run_training(fixture.config("one"), 1);
  const Tensors expected = test::read_tensors(fixture.newest("one"), fixture.config("one"));
  REQUIRE(alone.losses.size() == 6);

  for (const int ranks : {2, 3, 4}) {
    const std::string run = "ranks" + std::to_string(ranks);
    const RunOutcome together = run_training(fixture.config(run), ranks);

    INFO(ranks << " ranks");
    REQUIRE(together.losses.size() == alone.losses.size());
    for (std::size_t step = 0; step < alone.losses.size(); ++step) {
      CHECK(together.losses[step] == Approx(alone.losses[step]).epsilon(2e-3));
    }
    CHECK(largest_difference(test::read_tensors(fixture.newest(run), fixture.config(run)), expected) < 2e-2);
  }
}

TEST_CASE("a resumed run equals an uninterrupted one bit by bit at the same ranks", "[trainer]") {
  const int ranks = GENERATE(1, 2);
  const bool synchronized = GENERATE(true, false);
  const Fixture fixture;
  const auto configured = [&](const std::string& run, std::int64_t steps) {
    config::Config config = fixture.config(run);
    config.train.max_steps = steps;
    config.model.batch_norm.synchronized = synchronized;
    config.data.flip = true;
    config.data.random_crop = 1;
    return config;
  };
  run_training(configured("whole", 5), ranks);
  run_training(configured("parts", 2), ranks);

  run_training(configured("parts", 5), ranks, true);

  const Tensors whole = test::read_tensors(fixture.newest("whole"), configured("whole", 5));
  const Tensors parts = test::read_tensors(fixture.newest("parts"), configured("parts", 5));
  CHECK(whole == parts);
}

TEST_CASE("a run continues mid-epoch on another number of ranks", "[trainer]") {
  const Fixture fixture;
  const auto configured = [&](const std::string& run, std::int64_t steps) {
    config::Config config = fixture.config(run);
    config.train.max_steps = steps;
    return config;
  };
  run_training(configured("whole", 5), 1);
  run_training(configured("parts", 2), 2);

  run_training(configured("parts", 4), 3, true);
  run_training(configured("parts", 5), 1, true);

  const Tensors whole = test::read_tensors(fixture.newest("whole"), configured("whole", 5));
  const Tensors parts = test::read_tensors(fixture.newest("parts"), configured("parts", 5));
  CHECK(largest_difference(whole, parts) < 2e-2);
}

TEST_CASE("training learns 32 images by heart", "[trainer]") {
  test::TempDir folder;
  test::write_training_set(folder / "set", 8, 4);
  config::Config config = test::small_config(folder / "set", folder / "run");
  config.train.global_batch = 16;
  config.train.max_steps = 60;
  config.optim.schedule.kind = config::ScheduleKind::cosine;

  const RunOutcome outcome = run_training(config, 2);

  CHECK(outcome.losses.front() > 1.5);
  CHECK(outcome.losses.back() < 0.05);
}

TEST_CASE("a stop request of one rank stops all after the next step, and the run continues to the same end",
          "[trainer]") {
  const Fixture fixture;
  run_training(fixture.config("whole"), 2);
  const config::Config config = fixture.config("stopped");

  const RunOutcome stopped = run_training(config, 2, false, [](int rank, int call) { return rank == 1 && call == 2; });
  const std::string saved = fixture.newest("stopped").filename().string();
  const RunOutcome continued = run_training(config, 2, true);

  CHECK(stopped.end == RunEnd::stopped);
  CHECK(stopped.losses.size() == 3);
  CHECK(saved.find("3") != std::string::npos);
  CHECK(continued.end == RunEnd::finished);
  CHECK(test::read_tensors(fixture.newest("whole"), config) == test::read_tensors(fixture.newest("stopped"), config));
}

TEST_CASE("stop signals only set a flag, and former handlers come back", "[trainer]") {
  {
    const StopSignals signals;
    CHECK_FALSE(StopSignals::requested());

    std::raise(SIGTERM);

    CHECK(StopSignals::requested());
  }
  const StopSignals fresh;
  CHECK_FALSE(StopSignals::requested());
}

TEST_CASE("checkpoint.keep leaves the newest ones", "[trainer]") {
  const Fixture fixture;
  config::Config config = fixture.config("keep");
  config.checkpoint.every_steps = 1;
  config.checkpoint.keep = 2;

  run_training(config, 2);

  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(fixture.folder / "keep" / "checkpoints")) {
    left.push_back(entry.path().filename().string());
  }
  CHECK(left.size() == 2);
  CHECK(fixture.newest("keep").filename().string().find("6") != std::string::npos);
}

TEST_CASE("evaluation runs on time, is logged, and picks the best checkpoint", "[trainer]") {
  const Fixture fixture;
  config::Config config = fixture.config("evaluated");
  config.eval.lists = {config.data.list};
  config.eval.every_epochs = 1;
  config.checkpoint.every_epochs = 1;
  config.checkpoint.keep = 1;
  config.train.max_steps = 8;

  run_training(config, 2);

  std::ifstream lines(fixture.folder / "evaluated" / "metrics.jsonl");
  int evaluations = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("\"evaluation\"") == std::string::npos) continue;
    ++evaluations;
    CHECK(line.find("train/top1") != std::string::npos);
  }
  CHECK(evaluations == 3);  // 21 images in batches of 8: epochs end in steps 3, 6 and 8, the last one
}

TEST_CASE("a loss that is not finite ends the run and keeps earlier checkpoints", "[trainer]") {
  const Fixture fixture;
  config::Config config = fixture.config("diverged");
  config.optim.lr = 1e30;
  config.optim.clip_norm = 0;
  config.checkpoint.every_steps = 1;
  config.checkpoint.keep = 0;

  CHECK_THROWS_WITH(run_training(config, 2),
                    Catch::Contains("not finite") && Catch::Contains("Lower optim.lr") && Catch::Contains("step"));
}

TEST_CASE("a checkpoint of another model is refused with every difference", "[trainer]") {
  const Fixture fixture;
  run_training(fixture.config("run"), 1);
  config::Config other = fixture.config("run");
  other.model.embedding = 16;
  other.train.global_batch = 4;

  CHECK_THROWS_WITH(run_training(other, 1, true), Catch::Contains("embedding") && Catch::Contains("32") &&
                                                      Catch::Contains("16") && Catch::Contains("global_batch"));
}

}  // namespace plsc::train
