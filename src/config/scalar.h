#pragma once
// Single values: text to number and back, environment variables. Parsers give nothing for text that is no such value.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/value.h"

namespace plsc::config {

/// A whole number that has not been fitted into a type yet.
struct WholeNumber {
  bool negative = false;
  std::uint64_t magnitude = 0;
  bool overflow = false;  ///< beyond 64 bits, or written with an exponent and beyond 2^53

  std::optional<std::int64_t> as_int64() const;
  std::optional<std::uint64_t> as_uint64() const;
};

std::optional<WholeNumber> parse_whole(std::string_view text);  ///< 12, -3, 1e6, 10.0
std::optional<WholeNumber> parse_bytes(std::string_view text);  ///< the same, or 64KiB, 1.5 GiB, 500MB
template <class T>
std::optional<T> parse_real(std::string_view text);  ///< float or double; finite

std::string print_bytes(std::int64_t bytes);      ///< 16MiB where it is a whole number of KiB, MiB or GiB
std::string print_text(const std::string& text);  ///< as a YAML scalar that reads back as exactly this text

/// `value` with ${NAME} and ${NAME:-default} replaced; its text is then plain even if it was quoted.
Value expand_environment(const Value& value, const std::string& key);

}  // namespace plsc::config
