#pragma once
// Bounds-checked big-endian reads from a font file.

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "plsc/core/error.h"

namespace plsc::data {

/// First four bytes of a font's table directory.
inline bool is_font_tag(std::string_view tag) {
  return tag == std::string_view("\0\1\0\0", 4) || tag == "true" || tag == "OTTO";
}

class FontBytes {
 public:
  explicit FontBytes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  std::size_t size() const { return bytes_.size(); }
  bool contains(std::size_t offset, std::size_t count) const {
    return offset <= bytes_.size() && count <= bytes_.size() - offset;
  }
  std::uint32_t u8(std::size_t offset) const { return read<1>(offset); }
  std::uint32_t u16(std::size_t offset) const { return read<2>(offset); }
  std::int32_t i16(std::size_t offset) const { return static_cast<std::int16_t>(u16(offset)); }
  std::uint32_t u32(std::size_t offset) const { return read<4>(offset); }
  std::string_view tag(std::size_t offset) const {
    check(offset, 4);
    return {reinterpret_cast<const char*>(bytes_.data() + offset), 4};
  }
  FontBytes part(std::size_t offset, std::size_t count) const {
    check(offset, count);
    return FontBytes(bytes_.subspan(offset, count));
  }

 private:
  template <int kCount>
  std::uint32_t read(std::size_t offset) const {
    check(offset, kCount);
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < kCount; ++i) value = value << 8 | bytes_[offset + i];
    return value;
  }
  void check(std::size_t offset, std::size_t count) const {
    if (contains(offset, count)) return;
    throw Error(ErrorCode::data,
                fmt::format("A table of the font is too short (byte {} of {} is needed). Install the font "
                            "again or leave the file out.",
                            offset + count, bytes_.size()));
  }

  std::span<const std::uint8_t> bytes_;
};

}  // namespace plsc::data
