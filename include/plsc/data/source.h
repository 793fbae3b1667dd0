#pragma once
// A labelled set of samples that can be read by index. Read-only after construction and safe from many threads.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plsc/config/config.h"

namespace plsc::data {

class SampleSource {
 public:
  virtual ~SampleSource() = default;

  virtual std::uint64_t size() const = 0;
  virtual std::int64_t num_classes() const = 0;
  virtual std::int64_t label(std::uint64_t index) const = 0;
  /// Encoded bytes of one image (JPEG, PNG, ...), appended to an emptied `bytes`.
  virtual void read(std::uint64_t index, std::vector<std::byte>& bytes) const = 0;
  /// For messages: "train.txt, line 12: images/a.jpg".
  virtual std::string describe(std::uint64_t index) const = 0;
};

/// The training source a configuration names (list or folder); checks it and throws Error{data|io} that says file and
/// line. Lines that data.on_error=skip leaves out are counted in a warning.
std::unique_ptr<SampleSource> open_source(const config::DataConfig& config);
/// A labelled list outside the configuration's training set (evaluation).
std::unique_ptr<SampleSource> open_list(const std::string& list, const std::string& root, std::int64_t num_classes,
                                        config::OnError on_error);

}  // namespace plsc::data
