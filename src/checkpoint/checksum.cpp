#include "checkpoint/checksum.h"

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace plsc::checkpoint {

std::uint64_t checksum(std::span<const std::byte> data) { return XXH3_64bits(data.data(), data.size()); }

std::string checksum_text(std::uint64_t value) { return fmt::format("{:016x}", value); }

}  // namespace plsc::checkpoint
