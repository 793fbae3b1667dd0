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
  /// Encoded bytes of one image (JPEG, PNG, ...), appended to an emptied `bytes`. Throws Error{data} when this sample
  /// is bad (missing, empty, not a file), Error{io} when the machine is (no memory, too many open files, device error).
  virtual void read(std::uint64_t index, std::vector<std::byte>& bytes) const = 0;
  /// For messages: "train.txt, line 12: images/a.jpg".
  virtual std::string describe(std::uint64_t index) const = 0;
};

/// The training source a configuration names; checks all of it except the images themselves, which are looked at when
/// they are read, and throws Error{data|io|config} that says file and line.
///
/// A list has lines "path<TAB or space>label"; paths may contain spaces, blank lines are ignored. A class folder has
/// one sub-folder per class: sorted by bytes, they are classes 0, 1, ...; their image files (jpg, jpeg, png, bmp, pgm,
/// ppm) are the samples, deeper folders and hidden names are ignored.
///
/// With data.on_error=skip bad lines and empty class folders (which keep their id) are left out and named in a warning.
/// Class ids without an image are named in a warning; when num_classes is 0, more than half of the ids without an image
/// is an error: then the labels are hardly class ids.
std::unique_ptr<SampleSource> open_source(const config::DataConfig& config);
/// A labelled list outside the configuration's training set (evaluation): ids without an image are no matter here.
std::unique_ptr<SampleSource> open_list(const std::string& list, const std::string& root, std::int64_t num_classes,
                                        config::OnError on_error);

}  // namespace plsc::data
