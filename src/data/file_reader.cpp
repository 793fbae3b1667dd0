#include "data/file_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "plsc/core/error.h"

namespace plsc::data {

namespace {

/// No image for training is larger; a wrong path may well be.
constexpr off_t kMaxFileBytes = off_t{256} << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// The sample is bad, or else the machine: only the former may be skipped.
ErrorCode kind_of(int system_error) {
  switch (system_error) {
    case ENOENT:
    case EACCES:
    case EPERM:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EINVAL:
    case ENXIO: return ErrorCode::data;
    default: return ErrorCode::io;
  }
}

Error read_error(int system_error) {
  return Error(kind_of(system_error),
               fmt::format("Cannot read the image ({}). Check the path, data.root and the permissions.",
                           std::strerror(system_error)));
}

off_t checked_size(int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0) throw read_error(errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::data, "Cannot read the image (it is not a regular file). Remove it from the data set.");
  }
  if (status.st_size == 0) {
    throw Error(ErrorCode::data,
                "Cannot read the image (the file is empty). Replace it or remove it from the data set.");
  }
  if (status.st_size > kMaxFileBytes) {
    throw Error(ErrorCode::data, fmt::format("Cannot read the image (the file has {} bytes, more than {}). Replace it "
                                             "or remove it from the data set.",
                                             status.st_size, kMaxFileBytes));
  }
  return status.st_size;
}

}  // namespace

FileReader::FileReader(const std::string& root)
    : folder_(open(root.empty() ? "." : root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (folder_ < 0) {
    throw Error(ErrorCode::io,
                fmt::format("Cannot open the folder {} ({}). Check the path.", root, std::strerror(errno)));
  }
}

FileReader::~FileReader() { close(folder_); }

void FileReader::read(const char* path, std::vector<std::byte>& bytes) const {
  // O_NONBLOCK: opening a pipe by mistake must not wait for its writer; regular files do not care.
  const Descriptor file(openat(folder_, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) throw read_error(errno);
  bytes.resize(static_cast<std::size_t>(checked_size(file.get())));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw read_error(errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);  // shorter when the file shrank meanwhile: the decoder then says that it is truncated
}

}  // namespace plsc::data
