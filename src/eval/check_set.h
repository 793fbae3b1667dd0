#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace plsc::eval {

/// Error{data} unless both same (1) and different (0) pairs occur. `path` names the set in the message.
void check_flags(std::span<const std::uint8_t> same, const std::string& path);

}  // namespace plsc::eval
