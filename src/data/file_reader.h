#pragma once
// FileReader: whole files below one folder, read without allocating per call.

#include <cstddef>
#include <string>
#include <vector>

namespace plsc::data {

/// Owns a descriptor of the folder `root`; paths are relative to it, absolute ones stand for themselves.
class FileReader {
 public:
  /// Throws Error{io} when the folder cannot be opened.
  explicit FileReader(const std::string& root);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  /// Replaces `bytes` by the file's content. Throws as SampleSource::read says.
  void read(const char* path, std::vector<std::byte>& bytes) const;

 private:
  int folder_;
};

}  // namespace plsc::data
