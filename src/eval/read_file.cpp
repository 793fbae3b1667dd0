#include "eval/read_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "plsc/core/error.h"

namespace plsc::eval {

std::vector<std::byte> read_file(const std::string& path) {
  const auto fail = [&](const std::string& why) -> void {
    throw Error(ErrorCode::io, fmt::format("Cannot read {} ({}). Check the path and its permissions.", path, why));
  };
  if (std::filesystem::is_directory(path)) fail("it is a directory");
  errno = 0;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) fail(std::strerror(errno));
  const std::streamoff size = file.tellg();
  if (size < 0) fail("its size is unknown");
  std::vector<std::byte> bytes(static_cast<std::size_t>(size));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), size);
  if (file.gcount() != size) fail(fmt::format("{} of {} bytes came", file.gcount(), size));
  return bytes;
}

}  // namespace plsc::eval
