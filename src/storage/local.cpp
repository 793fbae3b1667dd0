#include "storage/local.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "plsc/core/error.h"

namespace plsc::storage {

namespace {

Path parent_of(const Path& path) { return path.has_parent_path() ? path.parent_path() : Path("."); }

const char* remedy(int code) {
  switch (code) {
    case ENOENT:
    case ENOTDIR: return "Check the path.";
    case EACCES:
    case EPERM: return "Check owner and permissions.";
    case EROFS: return "Choose a directory on a writable file system.";
    case EEXIST:
    case ENOTEMPTY: return "Move the existing one away.";
    case EMFILE:
    case ENFILE: return "Raise the limit of open files (ulimit -n).";
    case EFBIG: return "Raise the limit of file sizes (ulimit -f), or choose another file system.";
    default: return "Check the disk or network file system and try again.";
  }
}

[[noreturn]] void fail(std::string_view action, const Path& path, int code) {
  throw Error(ErrorCode::io,
              fmt::format("cannot {} {} ({}). {}", action, path.string(), std::strerror(code), remedy(code)));
}

/// A full disk gets numbers: the user must know how much to free.
[[noreturn]] void fail_write(const Path& path, int code, std::uint64_t needed) {
  if (code != ENOSPC && code != EDQUOT) fail("write", path, code);
  struct statvfs info {};
  const bool known = ::statvfs(path.c_str(), &info) == 0 || ::statvfs(parent_of(path).c_str(), &info) == 0;
  const std::string free_bytes =
      known ? fmt::format("{} bytes free", std::uint64_t{info.f_bavail} * info.f_frsize) : "free bytes unknown";
  throw Error(ErrorCode::io,
              fmt::format("cannot write {} ({}: the file needs {} bytes, {}). Free space, or write to another disk.",
                          path.string(), code == ENOSPC ? "disk full" : "disk quota used up", needed, free_bytes));
}

/// Repeats a system call that a signal interrupted.
template <class Call>
auto retry(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  ~FileDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

class LocalReader final : public Reader {
 public:
  explicit LocalReader(const Path& path)
      : path_(path), file_(retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); })) {
    if (file_.get() < 0) fail("open", path_, errno);
    struct stat info {};
    if (::fstat(file_.get(), &info) != 0) fail("read", path_, errno);
    if (S_ISDIR(info.st_mode)) fail("read", path_, EISDIR);
    size_ = static_cast<std::uint64_t>(info.st_size);
  }

  std::uint64_t size() const override { return size_; }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t count = retry([&] {
        return ::pread(file_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      });
      if (count < 0) fail("read", path_, errno);
      if (count == 0) {
        throw Error(ErrorCode::io, fmt::format("{} ends at byte {} (bytes {} to {} were wanted). Fetch or write the "
                                               "file again.",
                                               path_.string(), offset + done, offset, offset + out.size()));
      }
      done += static_cast<std::size_t>(count);
    }
  }

 private:
  Path path_;
  FileDescriptor file_;
  std::uint64_t size_ = 0;
};

class LocalWriter final : public Writer {
 public:
  LocalWriter(const Path& path, std::uint64_t expected_bytes)
      : path_(path),
        expected_bytes_(expected_bytes),
        file_(retry([&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666); })) {
    if (file_.get() < 0) fail_write(path_, errno, expected_bytes_);
  }

  void write(std::span<const std::byte> data) override {
    std::size_t done = 0;
    while (done < data.size()) {
      // A short count is no error yet: the next call tells why the rest does not fit.
      const ssize_t count = retry([&] { return ::write(file_.get(), data.data() + done, data.size() - done); });
      if (count < 0) fail_write(path_, errno, std::max(expected_bytes_, written_ + data.size()));
      if (count == 0) fail_write(path_, ENOSPC, std::max(expected_bytes_, written_ + data.size()));
      done += static_cast<std::size_t>(count);
    }
    written_ += data.size();
  }

  void close() override {
    if (retry([&] { return ::fsync(file_.get()); }) != 0) fail_write(path_, errno, std::max(expected_bytes_, written_));
    if (::close(file_.release()) != 0 && errno != EINTR) fail_write(path_, errno, std::max(expected_bytes_, written_));
  }

 private:
  Path path_;
  std::uint64_t expected_bytes_;
  std::uint64_t written_ = 0;
  FileDescriptor file_;
};

}  // namespace

std::unique_ptr<Reader> LocalStorage::open_read(const Path& path) { return std::make_unique<LocalReader>(path); }

std::unique_ptr<Writer> LocalStorage::open_write(const Path& path, std::uint64_t expected_bytes) {
  return std::make_unique<LocalWriter>(path, expected_bytes);
}

std::vector<Entry> LocalStorage::list(const Path& directory) {
  std::vector<Entry> entries;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    Entry entry{it->path().filename().string(), it->is_directory(error), 0};
    if (!error && it->is_regular_file(error)) entry.bytes = it->file_size(error);
    if (error == std::errc::no_such_file_or_directory) {  // removed by someone since it was listed
      error.clear();
      continue;
    }
    if (error) break;
    entries.push_back(std::move(entry));
  }
  if (error) fail("list", directory, error.value());
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

bool LocalStorage::exists(const Path& path) {
  std::error_code error;
  const bool found = std::filesystem::exists(path, error);
  if (error) fail("look up", path, error.value());
  return found;
}

void LocalStorage::rename(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail(fmt::format("rename {} to", from.string()), to, errno);
}

void LocalStorage::remove_all(const Path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) fail("remove", path, error.value());
}

void LocalStorage::make_directories(const Path& path) {
  std::vector<Path> missing;
  for (Path place = path; !place.empty() && !exists(place); place = place.parent_path()) {
    if (place.has_filename()) missing.push_back(place);
  }
  for (auto place = missing.rbegin(); place != missing.rend(); ++place) {
    if (::mkdir(place->c_str(), 0777) == 0) {
      sync_directory(parent_of(*place));
    } else if (errno != EEXIST) {  // another rank may have been faster
      const int code = errno;
      if (code == ENOSPC || code == EDQUOT) fail_write(*place, code, 0);
      fail("make directory", *place, code);
    }
  }
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) fail("make directory", path, ENOTDIR);
}

void LocalStorage::sync_directory(const Path& directory) {
  const FileDescriptor file(retry([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (file.get() < 0) fail("open", directory, errno);
  // Some network file systems have no fsync for directories; their renames are durable anyway.
  if (retry([&] { return ::fsync(file.get()); }) != 0 && errno != EINVAL && errno != ENOTSUP) {
    fail("sync", directory, errno);
  }
}

}  // namespace plsc::storage
