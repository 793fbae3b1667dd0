#pragma once
// Sets of characters by name or range, and how a character is written in file names and tables.

#include <span>
#include <string>
#include <vector>

namespace plsc::data {

/// Sorted code points without repeats. Each item is a named set or a hexadecimal range ("4E00-9FFF", "U+4E00-U+9FFF",
/// "4E00"). Throws Error{usage}.
std::vector<char32_t> parse_characters(std::span<const std::string> items);

std::string code_point_text(char32_t character);  ///< "U+4E00"
std::string utf8(char32_t character);

}  // namespace plsc::data
