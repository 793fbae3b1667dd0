#include "data/render_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "plsc/core/error.h"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

namespace plsc::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMarker = "render.lock";  ///< tells our unfinished folders from a user's

Error cannot_write(const fs::path& path, const std::string& why) {
  return Error(ErrorCode::io,
               fmt::format("Cannot write '{}' ({}). Free space, check permissions or choose another output "
                           "folder.",
                           path.string(), why));
}

void append_bytes(void* context, void* data, int size) {
  static_cast<std::string*>(context)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

}  // namespace

void write_file(const fs::path& path, std::string_view bytes) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) throw cannot_write(path, std::strerror(errno));
  int failure = 0;
  while (!bytes.empty() && failure == 0) {
    const ssize_t count = write(file, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      failure = errno;
    }
  }
  if (close(file) != 0 && failure == 0) failure = errno;
  if (failure != 0) throw cannot_write(path, std::strerror(failure));
}

std::string encode_image(std::span<const std::uint8_t> pixels, int size, RenderFormat format, int jpeg_quality) {
  std::string bytes;
  const int done = format == RenderFormat::png
                       ? stbi_write_png_to_func(append_bytes, &bytes, size, size, 1, pixels.data(), size)
                       : stbi_write_jpg_to_func(append_bytes, &bytes, size, size, 1, pixels.data(), jpeg_quality);
  if (done == 0) throw Error(ErrorCode::internal, fmt::format("Encoding a drawing of {0} x {0} pixels failed.", size));
  return bytes;
}

const char* image_suffix(RenderFormat format) { return format == RenderFormat::png ? ".png" : ".jpg"; }

StagingFolder::StagingFolder(const fs::path& output) : output_(fs::absolute(output).lexically_normal()) {
  if (!output_.has_filename()) output_ = output_.parent_path();
  path_ = output_;
  path_ += ".tmp";
  std::error_code failure;
  if (fs::exists(path_) && !fs::exists(path_ / kMarker) && !fs::is_empty(path_, failure)) {
    throw Error(ErrorCode::usage,
                fmt::format("'{}' is in the way (a folder that rendering did not make). Move it away or "
                            "choose another output folder.",
                            path_.string()));
  }
  fs::create_directories(path_, failure);
  if (failure) throw cannot_write(path_, failure.message());
  try {
    lock();
    owned_ = true;
    for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
      if (entry.path().filename() != kMarker) fs::remove_all(entry.path());
    }
  } catch (const fs::filesystem_error& error) {
    close(lock_);
    throw cannot_write(path_, error.code().message());
  }
}

StagingFolder::~StagingFolder() {
  std::error_code ignored;
  if (owned_) fs::remove_all(path_, ignored);
  if (lock_ >= 0) close(lock_);
}

void StagingFolder::lock() {
  const fs::path marker = path_ / kMarker;
  lock_ = open(marker.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) throw cannot_write(marker, std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  close(lock_);
  throw Error(ErrorCode::usage,
              fmt::format("Another process is rendering into '{}' (it holds {}). Wait for it or choose "
                          "another output folder.",
                          output_.string(), marker.string()));
}

void StagingFolder::commit() {
  std::error_code failure;
  fs::rename(path_, output_, failure);  // replaces an empty folder, refuses any other
  if (failure) throw cannot_write(output_, failure.message());
  owned_ = false;
  fs::remove(output_ / kMarker, failure);
}

}  // namespace plsc::data
