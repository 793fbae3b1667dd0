#include "config/scalar.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace plsc::config {

namespace {

constexpr double kExactLimit = 9007199254740992.0;  // 2^53: doubles beyond are not exact

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array<Unit, 7> kUnits{
    {{"GiB", 1073741824.0}, {"MiB", 1048576.0}, {"KiB", 1024.0}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1.0}}};

bool is_name_character(char c) { return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'); }

std::optional<WholeNumber> whole_from_double(double value) {
  if (value != std::floor(value)) return std::nullopt;
  WholeNumber whole;
  whole.negative = value < 0;
  whole.overflow = std::abs(value) > kExactLimit;
  if (!whole.overflow) whole.magnitude = static_cast<std::uint64_t>(std::abs(value));
  return whole;
}

/// The replacement for the inside of ${...}.
std::string lookup(std::string_view inside, const Place& place, const std::string& key) {
  const std::size_t separator = inside.find(":-");
  const std::string name(inside.substr(0, separator));
  const bool valid =
      !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::all_of(name.begin(), name.end(), is_name_character);
  if (!valid) {
    fail(place, fmt::format("{}: ${{{}}} is no environment variable (names have letters, digits and _). Correct it, or "
                            "write $${{ for a plain ${{.",
                            key, inside));
  }
  const char* found = std::getenv(name.c_str());
  if (separator != std::string_view::npos && (found == nullptr || *found == '\0')) {
    return std::string(inside.substr(separator + 2));
  }
  if (found == nullptr) {
    fail(place, fmt::format("{}: environment variable {} is not set (the value needs it). Set it, or give a default as "
                            "${{{}:-value}}.",
                            key, name, name));
  }
  return found;
}

}  // namespace

std::optional<std::int64_t> WholeNumber::as_int64() const {
  const std::uint64_t limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) + (negative ? 1 : 0);
  if (overflow || magnitude > limit) return std::nullopt;
  return static_cast<std::int64_t>(negative ? ~magnitude + 1 : magnitude);
}

std::optional<std::uint64_t> WholeNumber::as_uint64() const {
  if (overflow || (negative && magnitude != 0)) return std::nullopt;
  return magnitude;
}

template <class T>
std::optional<T> parse_real(std::string_view text) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}
template std::optional<float> parse_real<float>(std::string_view);
template std::optional<double> parse_real<double>(std::string_view);

std::optional<WholeNumber> parse_whole(std::string_view text) {
  WholeNumber whole;
  std::string_view digits = text;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
    whole.negative = digits[0] == '-';
    digits.remove_prefix(1);
  }
  const bool only_digits = !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
  if (only_digits) {
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), whole.magnitude);
    whole.overflow = result.ec == std::errc::result_out_of_range;
    return whole;
  }
  const std::optional<double> real = parse_real<double>(text);
  return real ? whole_from_double(*real) : std::nullopt;
}

std::optional<WholeNumber> parse_bytes(std::string_view text) {
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.name)) continue;
    std::string_view number = text.substr(0, text.size() - unit.name.size());
    while (number.ends_with(' ')) number.remove_suffix(1);
    const std::optional<double> real = parse_real<double>(number);
    return real ? whole_from_double(*real * unit.factor) : std::nullopt;
  }
  return parse_whole(text);
}

std::string print_bytes(std::int64_t bytes) {
  for (const Unit& unit : kUnits) {
    const auto factor = static_cast<std::int64_t>(unit.factor);
    if (unit.name.ends_with("iB") && bytes > 0 && bytes % factor == 0) {
      return fmt::format("{}{}", bytes / factor, unit.name);
    }
  }
  return fmt::format("{}", bytes);
}

std::string print_text(const std::string& text) {
  constexpr std::array<std::string_view, 9> kReserved{"null", "Null",  "NULL",  "true", "True",
                                                      "TRUE", "false", "False", "FALSE"};
  const bool plain = !text.empty() && (((text[0] | 32) >= 'a' && (text[0] | 32) <= 'z') || text[0] == '/') &&
                     std::all_of(text.begin(), text.end(),
                                 [](char c) { return is_name_character(c) || c == '.' || c == '/' || c == '-'; }) &&
                     std::find(kReserved.begin(), kReserved.end(), text) == kReserved.end();
  if (plain) return text;
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "${") == 0) escaped += '$';
    escaped += text[i];
  }
  YAML::Emitter emitter;
  emitter << YAML::DoubleQuoted << escaped;
  return emitter.c_str();
}

Value expand_environment(const Value& value, const std::string& key) {
  Value expanded = value;
  expanded.text.clear();
  const std::string_view text = value.text;
  for (std::size_t i = 0; i < text.size();) {
    if (text.substr(i, 3) == "$${") {
      expanded.text += "${";
      i += 3;
    } else if (text.substr(i, 2) == "${") {
      const std::size_t end = text.find('}', i);
      if (end == std::string_view::npos) {
        fail(value.place,
             fmt::format("{}: ${{ without }} (in {}). Close it, or write $${{ for a plain ${{.", key, text));
      }
      expanded.text += lookup(text.substr(i + 2, end - i - 2), value.place, key);
      expanded.quoted = false;
      i = end + 1;
    } else {
      expanded.text += text[i++];
    }
  }
  return expanded;
}

}  // namespace plsc::config
