#pragma once
// XXH3, 64 bits, seed 0: finds damage, not malice.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace plsc::checkpoint {

std::uint64_t checksum(std::span<const std::byte> data);
std::string checksum_text(std::uint64_t value);  ///< 16 hexadecimal digits

}  // namespace plsc::checkpoint
