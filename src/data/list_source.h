#pragma once
// A list file: lines "path<TAB or space>label".

#include <string>
#include <utility>
#include <vector>

#include "data/file_reader.h"
#include "data/sample_index.h"
#include "plsc/data/source.h"

namespace plsc::data {

struct ListOptions {
  std::string list;
  std::string root;              ///< empty: the list's own folder
  std::int64_t num_classes = 0;  ///< 0: largest label + 1
  config::OnError on_error = config::OnError::fail;
  bool check_class_ids = true;  ///< see check_class_ids()
};

class ListSource final : public SampleSource {
 public:
  explicit ListSource(const ListOptions& options);

  std::uint64_t size() const override { return samples_.size(); }
  std::int64_t num_classes() const override { return num_classes_; }
  std::int64_t label(std::uint64_t index) const override { return samples_.label(index); }
  void read(std::uint64_t index, std::vector<std::byte>& bytes) const override {
    files_.read(samples_.path(index), bytes);
  }
  std::string describe(std::uint64_t index) const override;

 private:
  void read_list(const ListOptions& options);
  std::uint64_t line_of(std::uint64_t index) const;
  void leave_out_line();

  /// From sample `first` on, line = index + 1 + `left_out`; one entry per run of lines that are no samples.
  struct Gap {
    std::uint64_t first;
    std::uint64_t left_out;
  };

  std::string list_;
  FileReader files_;
  SampleIndex samples_;
  std::vector<Gap> gaps_;
  std::int64_t num_classes_ = 0;
};

}  // namespace plsc::data
