#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace plsc::eval {

/// The whole file, or Error{io} with its path.
std::vector<std::byte> read_file(const std::string& path);

}  // namespace plsc::eval
