#include "plsc/storage/storage.h"

#include <fmt/format.h>

#include "plsc/core/error.h"
#include "storage/local.h"

namespace plsc::storage {

Location::Location(std::shared_ptr<Storage> store, Path place) : storage(std::move(store)), path(std::move(place)) {}

Location::Location(const Path& url) : Location(open_storage(url.string())) {}

Location open_storage(const std::string& url) {
  const std::size_t mark = url.find("://");
  if (mark == std::string::npos) return {std::make_shared<LocalStorage>(), Path(url)};
  const std::string scheme = url.substr(0, mark);
  if (scheme != "file") {
    throw Error(ErrorCode::unavailable,
                fmt::format("{}: storage scheme '{}' is not available (this build reads and writes local files). "
                            "Use a plain path or file:///absolute/path.",
                            url, scheme));
  }
  std::string path = url.substr(mark + 3);
  if (path.empty() || path.front() != '/') {
    throw Error(ErrorCode::io, fmt::format("{}: not a local file URL (a path must follow file:// at once). Write "
                                           "file:///absolute/path, or a plain path.",
                                           url));
  }
  return {std::make_shared<LocalStorage>(), Path(std::move(path))};
}

std::string read_text(Storage& storage, const Path& path, std::uint64_t limit) {
  const std::unique_ptr<Reader> reader = storage.open_read(path);
  if (reader->size() > limit) {
    throw Error(ErrorCode::io, fmt::format("{} has {} bytes (at most {} are expected here). Check that it is the "
                                           "right file.",
                                           path.string(), reader->size(), limit));
  }
  std::string text(reader->size(), '\0');
  reader->read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

void write_text(Storage& storage, const Path& path, const std::string& text) {
  const std::unique_ptr<Writer> writer = storage.open_write(path, text.size());
  writer->write(std::as_bytes(std::span(text)));
  writer->close();
}

}  // namespace plsc::storage
