#include "plsc/core/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace plsc {

namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr int kDefaultWidth = 80;
constexpr int kMinBar = 10;  // columns between the brackets
constexpr int kMaxBar = 30;
// Back to the first column, then erase to the end of the screen: also takes away what a narrower window has wrapped.
constexpr char kErase[] = "\r\x1b[J";

std::string join(const std::vector<LinePart>& parts) {
  std::string line;
  for (const LinePart& part : parts) line += (line.empty() ? "" : "  ") + part.text;
  return line;
}

std::string bar_of(double fraction, int width) {
  const int full = std::clamp(static_cast<int>(fraction * width), 0, width);
  std::string bar(static_cast<std::size_t>(width), ' ');
  std::fill_n(bar.begin(), full, '=');
  if (full < width) bar[static_cast<std::size_t>(full)] = '>';
  return fmt::format("[{}]", bar);
}

int stderr_width() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefaultWidth;
  return size.ws_col;
}

}  // namespace

std::string format_duration(double seconds) {
  if (!(seconds >= 0) || std::isinf(seconds) || seconds > 1e9) return "--";
  const auto total = static_cast<std::int64_t>(std::llround(seconds));
  const std::int64_t days = total / 86400;
  const std::int64_t hours = total / 3600 % 24;
  const std::int64_t minutes = total / 60 % 60;
  if (days > 0) return fmt::format("{}d {:02}:{:02}:{:02}", days, hours, minutes, total % 60);
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
  if (minutes > 0) return fmt::format("{}:{:02}", minutes, total % 60);
  return fmt::format("{} s", total);
}

std::string format_count(double count) {
  constexpr std::array<char, 4> kUnits{'k', 'M', 'G', 'T'};
  double value = std::abs(count);
  if (!std::isfinite(value)) return "--";
  const char* sign = count < 0 ? "-" : "";
  if (value < 999.5) {
    const bool whole = value >= 99.95 || value == std::floor(value);
    return fmt::format("{}{:.{}f}", sign, value, whole ? 0 : 1);
  }
  std::size_t unit = 0;
  for (value /= 1000; value >= 999.5 && unit + 1 < kUnits.size(); value /= 1000) ++unit;
  const int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;  // three significant ones
  return fmt::format("{}{:.{}f}{}", sign, value, digits, kUnits[unit]);
}

ProgressOutput stderr_output() {
  ProgressOutput output;
  output.write = [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
  };
  output.is_terminal = isatty(STDERR_FILENO) != 0;
  output.width = stderr_width;
  output.now = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  return output;
}

void RateMeter::add(double count, double seconds) {
  if (!(seconds > 0)) {
    count_ += count;
    return;
  }
  const double kept = std::exp(-seconds / memory_);
  count_ = count_ * kept + count;
  seconds_ = seconds_ * kept + seconds;
}

std::string compose_line(std::vector<LinePart> parts, double fraction, int width) {
  const auto room = static_cast<std::size_t>(std::max(width - 1, 1));  // the last column would wrap on some terminals
  const auto by_rank = [](const LinePart& a, const LinePart& b) { return a.rank < b.rank; };
  while (parts.size() > 1 && join(parts).size() > room)
    parts.erase(std::max_element(parts.begin(), parts.end(), by_rank));
  std::string line = join(parts);
  const int spare = static_cast<int>(room) - static_cast<int>(line.size()) - 4;  // two spaces, two brackets
  if (!parts.empty() && spare >= kMinBar) {
    line.insert(parts[0].text.size(), "  " + bar_of(fraction, std::min(spare, kMaxBar)));
  }
  line.resize(std::min(line.size(), room));
  return line;
}

StatusLine::~StatusLine() {
  try {
    clear();
  } catch (...) {  // a line that stays is no reason to fail
  }
}

bool StatusLine::due() const { return visible() && (last_draw_ < 0 || output_.now() - last_draw_ >= kRedrawSeconds); }

void StatusLine::draw(const std::string& line) {
  if (!visible()) return;
  output_.write(kErase + line + "\r");
  drawn_ = true;
  last_draw_ = output_.now();
}

void StatusLine::clear() {
  if (drawn_) output_.write(kErase);
  drawn_ = false;
  last_draw_ = -1;
}

void StatusLine::print(const std::string& line) {
  clear();
  if (visible()) output_.write(line + "\n");
}

Progress::Progress(std::int64_t total, std::string unit, ProgressOutput output)
    : total_(total), unit_(std::move(unit)), line_(std::move(output)) {
  start_ = last_time_ = line_.visible() ? line_.output().now() : 0;
}

void Progress::update(std::int64_t done) {
  if (!line_.visible()) return;
  const double now = line_.output().now();
  meter_.add(static_cast<double>(done - done_), now - last_time_);
  done_ = done;
  last_time_ = now;
  const double fraction = total_ > 0 ? static_cast<double>(done) / static_cast<double>(total_) : 0;
  const std::string counts = fmt::format("{}/{} {}", done, total_, unit_);
  const std::string rate = fmt::format("{} {}/s", format_count(meter_.rate()), unit_);
  const double left = meter_.rate() > 0 ? static_cast<double>(total_ - done) / meter_.rate() : -1;
  const std::vector<LinePart> parts{{fmt::format("{:3.0f}%", std::floor(100 * fraction)), 0},
                                    {counts, 1},
                                    {rate, 3},
                                    {"ETA " + format_duration(left), 2}};
  if (line_.output().is_terminal) {
    if (line_.due()) line_.draw(compose_line(parts, fraction, line_.width()));
    return;
  }
  const auto tenth = static_cast<std::int64_t>(10 * fraction);
  if (tenth > last_tenth_ && done < total_) line_.print(join(parts));
  last_tenth_ = tenth;
}

void Progress::finish() {
  if (!line_.visible()) return;
  const double seconds = line_.output().now() - start_;
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  line_.print(fmt::format("{} {} in {} ({} {}/s)", done_, unit_, format_duration(seconds), format_count(rate), unit_));
}

}  // namespace plsc
