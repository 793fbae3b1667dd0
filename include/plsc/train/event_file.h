#pragma once
// EventFile: scalars and texts for TensorBoard. A file is a sequence of TFRecords (length, masked CRC-32C, Event
// message, masked CRC-32C); the few protobuf fields that are needed are written by hand.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

namespace plsc::train {

class EventFile {
 public:
  /// Makes a new file events.out.tfevents.* in `directory`, which is made if it is missing. `first_step` > 0 tells
  /// TensorBoard to forget that step and later ones in older files of the directory (resume). Throws Error{io}.
  explicit EventFile(const std::string& directory, std::int64_t first_step = 0);
  ~EventFile();  ///< flushes; errors are not seen, so call flush() first
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  const std::string& path() const { return path_; }
  void add_scalar(const std::string& tag, std::int64_t step, double value);  ///< stored as f32
  void add_text(const std::string& tag, const std::string& text);            ///< shown as Markdown, at step 0
  void flush();  ///< to the file system; throws Error{io}, also for earlier writes

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void write_record(const std::string& event);

  std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
};

}  // namespace plsc::train
