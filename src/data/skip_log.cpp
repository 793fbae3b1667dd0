#include "data/skip_log.h"

#include <fmt/format.h>

#include <exception>

#include "plsc/core/log.h"

namespace plsc::data {

namespace {

constexpr std::uint64_t kNamed = 3;

}  // namespace

SkipLog::~SkipLog() {
  if (skipped_ <= kNamed) return;
  try {
    log::warning(fmt::format("left out {} of {} samples in all (data.on_error=skip)", skipped_, seen_));
  } catch (const std::exception&) {
    return;  // no memory for a line of text: nothing to be done here
  }
}

void SkipLog::add(const Error& error) {
  ++skipped_;
  if (skipped_ <= kNamed) log::warning(fmt::format("left out a sample (data.on_error=skip): {}", error.what()));
  if (skipped_ == next_report_) {
    log::warning(fmt::format("left out {} samples so far (data.on_error=skip)", skipped_));
    next_report_ *= 10;
  }
}

void SkipLog::check(std::int64_t rows) {
  constexpr std::uint64_t kEnoughToJudge = 100;
  seen_ += static_cast<std::uint64_t>(rows);
  if (seen_ < kEnoughToJudge || 2 * skipped_ <= seen_) return;
  throw Error(ErrorCode::data,
              fmt::format("{} of {} samples could not be read (data.on_error=skip is made for a few bad files). Check "
                          "data.root and the data set; the warnings above name the first ones.",
                          skipped_, seen_));
}

}  // namespace plsc::data
