#include "data/render_characters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "plsc/core/error.h"

namespace plsc::data {
namespace {

constexpr char32_t kLastCharacter = 0x10FFFF;

struct NamedRange {
  std::string_view name;
  char32_t first;
  char32_t last;
};

// Unicode 15 blocks; a set may have several rows. han-ext: extensions A to H.
constexpr std::array kNamedRanges{
    NamedRange{"han", 0x4E00, 0x9FFF},       NamedRange{"han-ext", 0x3400, 0x4DBF},
    NamedRange{"han-ext", 0x20000, 0x2A6DF}, NamedRange{"han-ext", 0x2A700, 0x2EBEF},
    NamedRange{"han-ext", 0x30000, 0x323AF}, NamedRange{"hangul", 0xAC00, 0xD7A3},
    NamedRange{"kana", 0x3041, 0x3096},      NamedRange{"kana", 0x30A1, 0x30FA},
    NamedRange{"latin", 0x0041, 0x005A},     NamedRange{"latin", 0x0061, 0x007A},
    NamedRange{"latin", 0x00C0, 0x024F},     NamedRange{"greek", 0x0370, 0x03FF},
    NamedRange{"cyrillic", 0x0400, 0x04FF},
};

Error bad_range(const std::string& item, const std::string& why) {
  std::vector<std::string_view> names;
  for (const NamedRange& range : kNamedRanges) {
    if (names.empty() || names.back() != range.name) names.push_back(range.name);
  }
  return Error(ErrorCode::usage, fmt::format("Character range '{}' is not understood ({}). Use a named set ({}) or "
                                             "hexadecimal code points such as 4E00-9FFF.",
                                             item, why, fmt::join(names, ", ")));
}

std::optional<char32_t> parse_code_point(std::string_view text) {
  if (text.starts_with("U+") || text.starts_with("u+") || text.starts_with("0x")) text.remove_prefix(2);
  std::uint32_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return static_cast<char32_t>(value);
}

void append_range(char32_t first, char32_t last, std::vector<char32_t>& characters) {
  for (char32_t c = first; c <= last; ++c) characters.push_back(c);
}

void append_item(const std::string& item, std::vector<char32_t>& characters) {
  bool named = false;
  for (const NamedRange& range : kNamedRanges) {
    if (range.name != item) continue;
    append_range(range.first, range.last, characters);
    named = true;
  }
  if (named) return;
  const std::size_t dash = item.find('-');
  const auto first = parse_code_point(std::string_view(item).substr(0, dash));
  const auto last = dash == std::string::npos ? first : parse_code_point(std::string_view(item).substr(dash + 1));
  if (!first || !last) throw bad_range(item, "neither a known name nor hexadecimal");
  if (*first > *last) throw bad_range(item, "it ends before it begins");
  if (*last > kLastCharacter) throw bad_range(item, "Unicode ends at 10FFFF");
  append_range(*first, *last, characters);
}

}  // namespace

std::vector<char32_t> parse_characters(std::span<const std::string> items) {
  std::vector<char32_t> characters;
  for (const std::string& item : items) append_item(item, characters);
  std::sort(characters.begin(), characters.end());
  characters.erase(std::unique(characters.begin(), characters.end()), characters.end());
  std::erase_if(characters, [](char32_t c) { return c < 0x21 || (c >= 0xD800 && c <= 0xDFFF); });
  if (characters.empty()) {
    throw Error(ErrorCode::usage,
                "No characters are asked for (the list of ranges is empty). Name a set such as han, or "
                "hexadecimal code points such as 4E00-9FFF.");
  }
  return characters;
}

std::string code_point_text(char32_t character) {
  return fmt::format("U+{:04X}", static_cast<std::uint32_t>(character));
}

std::string utf8(char32_t character) {
  const auto c = static_cast<std::uint32_t>(character);
  std::string text;
  const auto add = [&](std::uint32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (c < 0x80) {
    add(c);
  } else if (c < 0x800) {
    add(0xC0 | c >> 6);
  } else if (c < 0x10000) {
    add(0xE0 | c >> 12);
    add(0x80 | (c >> 6 & 0x3F));
  } else {
    add(0xF0 | c >> 18);
    add(0x80 | (c >> 12 & 0x3F));
    add(0x80 | (c >> 6 & 0x3F));
  }
  if (c >= 0x80) add(0x80 | (c & 0x3F));
  return text;
}

}  // namespace plsc::data
