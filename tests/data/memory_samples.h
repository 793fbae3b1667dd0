#pragma once
// A source whose samples are PNG files in memory, with failures on request.

#include <functional>
#include <string>
#include <vector>

#include "plsc/data/source.h"
#include "support/images.h"

namespace plsc::test {

class MemorySamples final : public data::SampleSource {
 public:
  /// Sample i is make_image(height, width, i) with label 100 + i.
  MemorySamples(std::uint64_t size, int height, int width) {
    for (std::uint64_t i = 0; i < size; ++i) {
      images_.push_back(make_image(height, width, i));
      files_.push_back(encode_png(images_.back()));
    }
  }

  std::uint64_t size() const override { return files_.size(); }
  std::int64_t num_classes() const override { return 100 + static_cast<std::int64_t>(files_.size()); }
  std::int64_t label(std::uint64_t index) const override { return 100 + static_cast<std::int64_t>(index); }
  void read(std::uint64_t index, std::vector<std::byte>& bytes) const override {
    if (before_read) before_read(index);
    bytes.insert(bytes.end(), files_[index].begin(), files_[index].end());
  }
  std::string describe(std::uint64_t index) const override { return "memory, sample " + std::to_string(index); }

  const data::Image& image(std::uint64_t index) const { return images_[index]; }

  /// Called by the reading threads; may throw.
  std::function<void(std::uint64_t)> before_read;

 private:
  std::vector<data::Image> images_;
  std::vector<std::vector<std::byte>> files_;
};

}  // namespace plsc::test
