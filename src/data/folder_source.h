#pragma once
// A folder with one sub-folder of images per class.

#include <string>
#include <utility>
#include <vector>

#include "data/file_reader.h"
#include "data/sample_index.h"
#include "plsc/data/source.h"

namespace plsc::data {

struct FolderOptions {
  std::string folder;
  std::int64_t num_classes = 0;  ///< 0: as many as there are sub-folders
  config::OnError on_error = config::OnError::fail;
};

class FolderSource final : public SampleSource {
 public:
  explicit FolderSource(const FolderOptions& options);

  std::uint64_t size() const override { return samples_.size(); }
  std::int64_t num_classes() const override { return num_classes_; }
  std::int64_t label(std::uint64_t index) const override { return samples_.label(index); }
  void read(std::uint64_t index, std::vector<std::byte>& bytes) const override {
    files_.read(samples_.path(index), bytes);
  }
  std::string describe(std::uint64_t index) const override;

 private:
  std::string folder_;
  FileReader files_;
  SampleIndex samples_;
  std::int64_t num_classes_ = 0;
};

}  // namespace plsc::data
