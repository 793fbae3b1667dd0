#pragma once
// SampleIndex: paths and labels of up to 10^9 samples, in three flat arrays (path bytes + 13 bytes a sample).

#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

namespace plsc::data {

class SampleIndex {
 public:
  /// Labels are kept in 32 bits: 10^8 classes are the most that the program is made for.
  static constexpr std::int64_t kMaxLabel = std::numeric_limits<std::int32_t>::max() - 1;

  /// Address space for `bytes` of paths; pages that stay unused cost nothing.
  void reserve(std::size_t bytes) { paths_.reserve(bytes); }

  void add(std::string_view path, std::int64_t label) {
    begins_.push_back(paths_.size());
    paths_.insert(paths_.end(), path.begin(), path.end());
    paths_.push_back('\0');
    labels_.push_back(static_cast<std::int32_t>(label));
  }

  std::uint64_t size() const { return labels_.size(); }
  const char* path(std::uint64_t index) const { return paths_.data() + begins_[index]; }  ///< zero-terminated
  std::int64_t label(std::uint64_t index) const { return labels_[index]; }

 private:
  std::vector<char> paths_;
  std::vector<std::uint64_t> begins_;
  std::vector<std::int32_t> labels_;
};

}  // namespace plsc::data
