#include "plsc/train/metrics_log.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "plsc/core/error.h"

namespace plsc::train {

namespace {

[[noreturn]] void fail(const std::string& path, const char* action, int error) {
  throw Error(ErrorCode::io, fmt::format("Metrics log {} cannot be {} ({}). Check the folder, its permissions and free "
                                         "space.",
                                         path, action, std::strerror(error)));
}

void cut(const std::string& path, long size) {
  std::error_code error;
  std::filesystem::resize_file(path, static_cast<std::uintmax_t>(size), error);
  if (error) fail(path, "shortened", error.value());
}

/// Cuts off what stands behind the last end of line.
void remove_partial_line(const std::string& path, std::FILE* file) {
  constexpr long kChunk = 4096;
  if (std::fseek(file, 0, SEEK_END) != 0) return;  // a pipe or device has no old lines
  const long size = std::ftell(file);
  char chunk[kChunk];
  for (long end = size; end > 0;) {
    const long begin = end > kChunk ? end - kChunk : 0;
    const auto length = static_cast<std::size_t>(end - begin);
    if (std::fseek(file, begin, SEEK_SET) != 0 || std::fread(chunk, 1, length, file) != length) {
      fail(path, "read", errno);
    }
    for (std::size_t i = length; i > 0; --i) {
      if (chunk[i - 1] != '\n') continue;
      const long keep = begin + static_cast<long>(i);
      if (keep < size) cut(path, keep);
      return;
    }
    end = begin;
  }
  if (size > 0) cut(path, 0);
}

}  // namespace

MetricsLog::MetricsLog(std::string path) : path_(std::move(path)), file_(std::fopen(path_.c_str(), "a+")) {
  if (!file_) fail(path_, "opened", errno);
  remove_partial_line(path_, file_.get());
}

void MetricsLog::write(const MetricRecord& record) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const auto& [key, value] : record.fields) {
    std::visit([&, &key = key](const auto& content) { object[key] = content; }, value);
  }
  // Invalid UTF-8 (file names may have it) becomes U+FFFD; dump() writes null for numbers that are not finite.
  const std::string line = object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  errno = 0;
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() || std::fflush(file_.get()) != 0) {
    fail(path_, "written", errno);
  }
}

}  // namespace plsc::train
