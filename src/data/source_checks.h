#pragma once
// What list and folder sources check and report in the same way.

#include <cstdint>
#include <string>
#include <vector>

#include "data/sample_index.h"

namespace plsc::data {

/// Collects what data.on_error=skip leaves out: all are counted, the first three named.
class SkipReport {
 public:
  void add(std::string description);
  std::uint64_t count() const { return count_; }
  /// "left out 12 lines of train.txt (data.on_error=skip):" and one line per named one; nothing when none was left out.
  void warn(const std::string& things, const std::string& where) const;

 private:
  std::uint64_t count_ = 0;
  std::vector<std::string> first_;
};

/// Largest label + 1; 0 when there is none.
std::int64_t count_classes(const SampleIndex& samples);

/// Warns of class ids below num_classes that have no sample. `stated`: the user gave num_classes; otherwise more than
/// half of them missing is an Error{data}.
void check_class_ids(const SampleIndex& samples, std::int64_t num_classes, bool stated, const std::string& where);

}  // namespace plsc::data
