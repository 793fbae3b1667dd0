#pragma once
// Progress on a terminal (one line, redrawn in place) or elsewhere (plain lines). Not thread-safe. Text is ASCII.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace plsc {

std::string format_duration(double seconds);  ///< "42 s", "5:07", "1:02:03", "2d 01:02:03"; "--" if not known
std::string format_count(double count);       ///< "999", "12.3k", "4.56M", "1.20G"

/// Where progress goes. Width and clock are functions, so windows may be resized and tests see exact text.
struct ProgressOutput {
  std::function<void(std::string_view)> write;  ///< empty: nothing is shown (ranks other than 0)
  bool is_terminal = false;
  std::function<int()> width;   ///< columns, asked at each redraw
  std::function<double()> now;  ///< seconds on a steady clock
};

/// Standard error of this process.
ProgressOutput stderr_output();

/// A mean over about the last `memory` seconds, exact for a constant rate.
class RateMeter {
 public:
  explicit RateMeter(double memory = 60) : memory_(memory) {}
  void add(double count, double seconds);
  double rate() const { return seconds_ > 0 ? count_ / seconds_ : 0; }  ///< count per second; 0: not known

 private:
  double memory_;
  double count_ = 0;
  double seconds_ = 0;
};

/// A part of a progress line; when the line is too narrow, parts with the highest `rank` go first.
struct LinePart {
  std::string text;
  int rank = 0;
};

/// Parts joined by two spaces in fewer than `width` columns, with a bar for `fraction` (0 to 1) behind the first part
/// where there is room for it.
std::string compose_line(std::vector<LinePart> parts, double fraction, int width);

/// The one line at the bottom of a terminal. The cursor rests at its beginning.
class StatusLine {
 public:
  explicit StatusLine(ProgressOutput output) : output_(std::move(output)) {}
  ~StatusLine();  ///< takes an unfinished line away
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  const ProgressOutput& output() const { return output_; }
  int width() const { return output_.width(); }
  bool visible() const { return static_cast<bool>(output_.write); }
  bool due() const;                     ///< true at most 10 times a second, and always after clear()
  void draw(const std::string& line);   ///< in place
  void clear();                         ///< before other lines are printed; the next draw() is due at once
  void print(const std::string& line);  ///< a lasting line, instead of the drawn one

 private:
  ProgressOutput output_;
  bool drawn_ = false;
  double last_draw_ = -1;
};

/// Progress of a command through `total` things: percentage, bar, counts, rate, ETA.
class Progress {
 public:
  /// Off a terminal a line is printed after each tenth of the total.
  Progress(std::int64_t total, std::string unit, ProgressOutput output = stderr_output());

  void update(std::int64_t done);
  void clear() { line_.clear(); }
  void finish();  ///< prints the total, time and mean rate

 private:
  std::int64_t total_;
  std::string unit_;
  StatusLine line_;
  RateMeter meter_;
  double start_;
  double last_time_;
  std::int64_t done_ = 0;
  std::int64_t last_tenth_ = 0;
};

}  // namespace plsc
