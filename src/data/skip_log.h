#pragma once
// SkipLog: tells the user what a loader leaves out because of data.on_error=skip.

#include <cstdint>

#include "plsc/core/error.h"

namespace plsc::data {

/// Names the first three samples in warnings, then gives the count at each power of ten and at the end.
class SkipLog {
 public:
  SkipLog() = default;
  ~SkipLog();
  SkipLog(const SkipLog&) = delete;
  SkipLog& operator=(const SkipLog&) = delete;

  void add(const Error& error);
  /// After each batch of `rows` samples: throws Error{data} when more than half of at least 100 were left out.
  void check(std::int64_t rows);
  std::uint64_t skipped() const { return skipped_; }

 private:
  std::uint64_t seen_ = 0;
  std::uint64_t skipped_ = 0;
  std::uint64_t next_report_ = 10;
};

}  // namespace plsc::data
