#include "data/font_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "data/font_bytes.h"
#include "plsc/core/error.h"

namespace plsc::data {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30;
constexpr std::size_t kGuardBytes = (std::size_t{4} << 30) + (std::size_t{64} << 20);
constexpr std::uint32_t kMaxFaces = 4096;

Error cannot_read(const std::string& path, const std::string& why) {
  return Error(ErrorCode::io,
               fmt::format("Cannot read font file '{}' ({}). Check the path and its permissions; Debian's "
                           "CJK fonts are installed by packages such as fonts-noto-cjk.",
                           path, why));
}

/// Closes the descriptor when it goes.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

}  // namespace

FontFile::FontFile(const std::string& path) : path_(path) {
  try {
    read();
    const FontBytes font(bytes());
    if (font.tag(0) == "ttcf") {
      const std::uint32_t faces = font.u32(8);
      if (faces == 0 || faces > kMaxFaces || !font.contains(12, std::size_t{4} * faces)) {
        throw Error(ErrorCode::data, fmt::format("Font collection '{}' is damaged (it claims {} faces). Install the "
                                                 "font again or leave the file out.",
                                                 path_, faces));
      }
      num_faces_ = static_cast<int>(faces);
    } else if (!is_font_tag(font.tag(0))) {
      throw Error(ErrorCode::data, fmt::format("'{}' is not a font that can be drawn (neither TrueType nor OpenType). "
                                               "Give .ttf, .otf or .ttc files.",
                                               path_));
    }
  } catch (...) {
    if (data_ != nullptr) munmap(data_, reserved_);
    throw;
  }
}

FontFile::~FontFile() {
  if (data_ != nullptr) munmap(data_, reserved_);
}

std::uint32_t FontFile::face_offset(int face) const {
  if (face < 0 || face >= num_faces_) {
    throw Error(ErrorCode::usage,
                fmt::format("Font file '{}' has no face #{} (it has {}: #0 to #{}). Name one of these, "
                            "or the file alone for all of them.",
                            path_, face, num_faces_, num_faces_ - 1));
  }
  const FontBytes font(bytes());
  return font.tag(0) == "ttcf" ? font.u32(12 + std::size_t{4} * static_cast<std::size_t>(face)) : 0;
}

void FontFile::read() {
  const Descriptor file(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw cannot_read(path_, std::strerror(errno));
  struct stat status {};
  if (fstat(file.get(), &status) != 0) throw cannot_read(path_, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw cannot_read(path_, "it is not a regular file");
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ < 12 || size_ > kMaxFileBytes) {
    throw Error(ErrorCode::data,
                fmt::format("'{}' is not a font that can be drawn ({} bytes; expected 12 bytes to 1 GiB)."
                            " Give .ttf, .otf or .ttc files.",
                            path_, size_));
  }
  const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t file_pages = (size_ + page - 1) / page * page;
  reserved_ = file_pages + kGuardBytes;
  void* memory = mmap(nullptr, reserved_, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error(ErrorCode::io,
                fmt::format("Cannot reserve 4 GiB of address space to read font '{}' safely ({}). Raise the "
                            "limit on virtual memory (ulimit -v).",
                            path_, std::strerror(errno)));
  }
  data_ = static_cast<std::uint8_t*>(memory);
  if (mprotect(data_, file_pages, PROT_READ | PROT_WRITE) != 0) throw cannot_read(path_, std::strerror(errno));
  for (std::size_t done = 0; done < size_;) {
    const ssize_t count = ::read(file.get(), data_ + done, size_ - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw cannot_read(path_, std::strerror(errno));
    if (count == 0) throw cannot_read(path_, "it became shorter while it was read");
    done += static_cast<std::size_t>(count);
  }
  mprotect(data_, file_pages, PROT_READ);
}

}  // namespace plsc::data
