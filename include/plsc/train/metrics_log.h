#pragma once
// Metrics as JSON Lines: one object per line, flushed per line, keys in the order given.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace plsc::train {

/// NaN and infinity are written as null, which is all that JSON has for them.
using MetricValue = std::variant<double, std::int64_t, std::string>;

struct MetricRecord {
  std::vector<std::pair<std::string, MetricValue>> fields;  ///< keys must differ
};

class MetricsLog {
 public:
  /// Appends to `path`; a last line without end, left by a crash, is cut off. Throws Error{io}.
  explicit MetricsLog(std::string path);

  /// Throws Error{io} when the line could not be written in full.
  void write(const MetricRecord& record);

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
};

}  // namespace plsc::train
