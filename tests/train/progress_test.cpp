#include "plsc/train/progress.h"

#include <catch2/catch.hpp>
#include <utility>

namespace plsc::train {

namespace {

constexpr char kErase[] = "\r\x1b[J";

struct Screen {
  std::string text;
  int columns = 120;
  double time = 100;

  ProgressOutput output(bool is_terminal) {
    return {[this](std::string_view part) { text += part; }, is_terminal, [this] { return columns; },
            [this] { return time; }};
  }
  std::string take() { return std::exchange(text, ""); }
};

TrainStatus status_at(std::int64_t step) {
  return {.step = step,
          .epoch = static_cast<double>(step) / 100,
          .loss = 12.34567,
          .images_per_second = 1234,
          .learning_rate = 0.05};
}

}  // namespace

TEST_CASE("a training line on a terminal", "[train_progress]") {
  Screen screen;
  TrainProgress progress(0, 1000, 10, screen.output(true));
  screen.time += 42;

  progress.update(status_at(420));

  CHECK(screen.take() ==
        kErase + std::string(" 42%  [============>                 ]  420/1000  epoch 4.20  loss 12.3457  "
                             "1.23k images/s  lr 0.05  ETA 58 s\r"));
}

TEST_CASE("a narrow training line keeps what matters", "[train_progress]") {
  Screen screen;
  TrainProgress progress(0, 1000, 10, screen.output(true));
  screen.time += 42;
  const auto line_at = [&](int columns) {
    screen.columns = columns;
    progress.clear();
    screen.take();
    progress.update(status_at(420));
    return screen.take().substr(4);
  };

  CHECK(line_at(80) == " 42%  420/1000  epoch 4.20  loss 12.3457  1.23k images/s  lr 0.05  ETA 58 s\r");
  CHECK(line_at(70) == " 42%  420/1000  epoch 4.20  loss 12.3457  1.23k images/s  ETA 58 s\r");
  CHECK(line_at(40) == " 42%  420/1000  loss 12.3457  ETA 58 s\r");
  CHECK(line_at(30) == " 42%  loss 12.3457  ETA 58 s\r");
  CHECK(line_at(20) == " 42%  loss 12.3457\r");
}

TEST_CASE("a training line is redrawn ten times a second at most, and after clear", "[train_progress]") {
  Screen screen;
  TrainProgress progress(0, 1000, 10, screen.output(true));
  progress.update(status_at(1));
  screen.take();

  screen.time += 0.05;
  progress.update(status_at(2));
  CHECK(screen.take().empty());

  progress.clear();
  CHECK(screen.take() == kErase);

  progress.update(status_at(3));
  CHECK_FALSE(screen.take().empty());
}

TEST_CASE("off a terminal there is a plain line every few steps and at the end", "[train_progress]") {
  Screen screen;
  TrainProgress progress(0, 25, 10, screen.output(false));

  for (int step = 1; step <= 25; ++step) {
    screen.time += 2;
    progress.update(status_at(step));
  }
  progress.clear();
  progress.finish();

  CHECK(screen.take() ==
        "step 10/25 (40%)  epoch 0.10  loss 12.3457  1.23k images/s  lr 0.05  ETA 30 s\n"
        "step 20/25 (80%)  epoch 0.20  loss 12.3457  1.23k images/s  lr 0.05  ETA 10 s\n"
        "step 25/25 (100%)  epoch 0.25  loss 12.3457  1.23k images/s  lr 0.05  ETA 0 s\n");
}

TEST_CASE("steps of an earlier run do not count for the time left", "[train_progress]") {
  Screen screen;
  TrainProgress progress(900, 1000, 10, screen.output(false));
  screen.time += 10;

  progress.update(status_at(910));

  CHECK(screen.take().find("ETA 1:30\n") != std::string::npos);
}

TEST_CASE("the last training line stays", "[train_progress]") {
  Screen screen;
  screen.columns = 20;
  {
    TrainProgress progress(0, 10, 10, screen.output(true));
    progress.update(status_at(10));
    screen.take();

    progress.finish();
  }

  CHECK(screen.take() == kErase + std::string("100%  loss 12.3457\n"));
}

TEST_CASE("an error takes an unfinished training line away", "[train_progress]") {
  Screen screen;
  {
    TrainProgress progress(0, 10, 10, screen.output(true));
    progress.update(status_at(1));
    screen.take();
  }

  CHECK(screen.take() == kErase);
}

TEST_CASE("ranks without an output show nothing", "[train_progress]") {
  TrainProgress progress(0, 10, 10, ProgressOutput{});

  progress.update(status_at(10));
  progress.clear();
  progress.finish();

  SUCCEED("no call through an empty function");
}

TEST_CASE("a speed that is not known yet is a dash", "[progress]") {
  Screen screen;
  TrainProgress progress(0, 25, 1, screen.output(false));
  TrainStatus status = status_at(1);
  status.images_per_second = 0;
  screen.time += 2;

  progress.update(status);

  CHECK_THAT(screen.take(), Catch::Contains("  -- images/s  "));
}

}  // namespace plsc::train
