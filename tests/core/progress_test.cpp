#include "plsc/core/progress.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <utility>

namespace plsc {

namespace {

constexpr char kErase[] = "\r\x1b[J";

/// What a progress display writes, with width and clock in the test's hand.
struct Screen {
  std::string text;
  int columns = 80;
  double time = 100;

  ProgressOutput output(bool is_terminal) {
    return {[this](std::string_view part) { text += part; }, is_terminal, [this] { return columns; },
            [this] { return time; }};
  }
  std::string take() { return std::exchange(text, ""); }
};

}  // namespace

TEST_CASE("durations are short to read", "[progress]") {
  CHECK(format_duration(0) == "0 s");
  CHECK(format_duration(41.6) == "42 s");
  CHECK(format_duration(59.6) == "1:00");
  CHECK(format_duration(307) == "5:07");
  CHECK(format_duration(3723) == "1:02:03");
  CHECK(format_duration(86399) == "23:59:59");
  CHECK(format_duration(2 * 86400 + 3723) == "2d 01:02:03");
  CHECK(format_duration(-1) == "--");
  CHECK(format_duration(std::nan("")) == "--");
  CHECK(format_duration(std::numeric_limits<double>::infinity()) == "--");
}

TEST_CASE("counts have three digits and a unit", "[progress]") {
  CHECK(format_count(0) == "0");
  CHECK(format_count(7) == "7");
  CHECK(format_count(0.25) == "0.2");
  CHECK(format_count(12.34) == "12.3");
  CHECK(format_count(99.96) == "100");
  CHECK(format_count(999.4) == "999");
  CHECK(format_count(999.6) == "1.00k");
  CHECK(format_count(12345) == "12.3k");
  CHECK(format_count(123456) == "123k");
  CHECK(format_count(999600) == "1.00M");
  CHECK(format_count(4.56e6) == "4.56M");
  CHECK(format_count(1.2e9) == "1.20G");
  CHECK(format_count(5e16) == "50000T");
  CHECK(format_count(-1500) == "-1.50k");
  CHECK(format_count(std::nan("")) == "--");
}

TEST_CASE("a rate meter is exact for a constant rate and follows a new one", "[progress]") {
  RateMeter meter(10);
  CHECK(meter.rate() == 0);

  for (int i = 0; i < 5; ++i) meter.add(6, 2);
  CHECK(meter.rate() == Approx(3));

  for (int i = 0; i < 100; ++i) meter.add(5, 1);
  CHECK(meter.rate() == Approx(5).epsilon(1e-3));
}

TEST_CASE("a line drops its least parts when it is too narrow", "[progress]") {
  const std::vector<LinePart> parts{{" 50%", 0}, {"5/10", 1}, {"rate", 3}, {"ETA", 2}};

  CHECK(compose_line(parts, 0.5, 36) == " 50%  [=====>    ]  5/10  rate  ETA");
  CHECK(compose_line(parts, 0.5, 35) == " 50%  5/10  rate  ETA");
  CHECK(compose_line(parts, 0.5, 22) == " 50%  5/10  rate  ETA");
  CHECK(compose_line(parts, 0.5, 21) == " 50%  5/10  ETA");
  CHECK(compose_line(parts, 0.5, 12) == " 50%  5/10");
  CHECK(compose_line(parts, 0.5, 6) == " 50%");
  CHECK(compose_line(parts, 0.5, 4) == " 50");
  CHECK(compose_line(parts, 1.0, 36) == " 50%  [==========]  5/10  rate  ETA");
  CHECK(compose_line(parts, 0.5, 200).find("[===============>              ]") != std::string::npos);
  for (int width = 1; width < 100; ++width) {
    CHECK(compose_line(parts, 0.3, width).size() <= static_cast<std::size_t>(std::max(width - 1, 1)));
  }
}

TEST_CASE("a terminal line is redrawn in place ten times a second at most", "[progress]") {
  Screen screen;
  screen.columns = 60;
  Progress progress(200, "images", screen.output(true));

  screen.time += 2;
  progress.update(50);
  CHECK(screen.take() == kErase + std::string(" 25%  [===>          ]  50/200 images  25 images/s  ETA 6 s\r"));

  screen.time += 0.05;
  progress.update(60);
  CHECK(screen.take().empty());

  screen.time += 0.06;
  progress.update(60);
  CHECK_FALSE(screen.take().empty());
}

TEST_CASE("a terminal line follows the width of the window", "[progress]") {
  Screen screen;
  Progress progress(200, "images", screen.output(true));
  screen.time += 1;
  screen.columns = 30;

  progress.update(100);

  CHECK(screen.take() == kErase + std::string(" 50%  100/200 images  ETA 1 s\r"));
}

TEST_CASE("lines printed in between find a clean place", "[progress]") {
  Screen screen;
  screen.columns = 20;
  Progress progress(4, "x", screen.output(true));
  screen.time += 1;
  progress.update(1);
  screen.take();

  progress.clear();
  progress.clear();
  CHECK(screen.take() == kErase);

  progress.update(2);
  CHECK(screen.take() == kErase + std::string(" 50%  2/4 x\r"));
}

TEST_CASE("the end says how many in which time", "[progress]") {
  Screen screen;
  Progress progress(400, "images", screen.output(true));
  screen.time += 2;
  progress.update(400);
  screen.take();

  progress.finish();

  CHECK(screen.take() == kErase + std::string("400 images in 2 s (200 images/s)\n"));
}

TEST_CASE("a line that was not finished is taken away", "[progress]") {
  Screen screen;
  {
    Progress progress(400, "images", screen.output(true));
    progress.update(1);
    screen.take();
  }

  CHECK(screen.take() == kErase);
}

TEST_CASE("off a terminal there is a plain line per tenth", "[progress]") {
  Screen screen;
  Progress progress(20, "faces", screen.output(false));

  for (int done = 1; done <= 20; ++done) {
    screen.time += 1;
    progress.update(done);
  }
  progress.finish();

  const std::string text = screen.take();
  CHECK(text.substr(0, text.find('\n')) == " 10%  2/20 faces  1 faces/s  ETA 18 s");
  CHECK(std::count(text.begin(), text.end(), '\n') == 10);
  CHECK(text.find("20 faces in 20 s (1 faces/s)\n") != std::string::npos);
  CHECK(text.find('\r') == std::string::npos);
}

TEST_CASE("without an output nothing is written", "[progress]") {
  Progress progress(20, "faces", ProgressOutput{});

  progress.update(3);
  progress.clear();
  progress.finish();

  SUCCEED("no call through an empty function");
}

TEST_CASE("an empty job is no division by zero", "[progress]") {
  Screen screen;
  Progress progress(0, "faces", screen.output(true));

  progress.update(0);

  CHECK(screen.take().find("0/0 faces") != std::string::npos);
}

}  // namespace plsc
