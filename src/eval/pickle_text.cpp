#include "eval/pickle_text.h"

#include <charconv>
#include <cstdint>

namespace plsc::eval {

namespace {

void append_utf8(std::uint32_t code, std::vector<std::byte>& out) {
  const auto add = [&](std::uint32_t byte) { out.push_back(static_cast<std::byte>(byte)); };
  if (code < 0x80) return add(code);
  if (code < 0x800) {
    add(0xc0 | code >> 6);
  } else if (code < 0x10000) {
    add(0xe0 | code >> 12);
    add(0x80 | (code >> 6 & 0x3f));
  } else {
    add(0xf0 | code >> 18);
    add(0x80 | (code >> 12 & 0x3f));
    add(0x80 | (code >> 6 & 0x3f));
  }
  add(0x80 | (code & 0x3f));
}

/// Reads exactly `digits` digits at `at` and moves past them; false when there are fewer.
bool take_digits(std::string_view line, std::size_t& at, std::size_t digits, int base, std::uint32_t& value) {
  if (line.size() - at < digits) return false;
  const char* begin = line.data() + at;
  const auto [end, problem] = std::from_chars(begin, begin + digits, value, base);
  if (problem != std::errc() || end != begin + digits) return false;
  at += digits;
  return true;
}

/// One escape; `at` is behind the backslash.
const char* append_escape(std::string_view body, std::size_t& at, std::vector<std::byte>& out) {
  constexpr const char* kBroken = "its string has a broken escape";
  constexpr std::string_view kLetters = "\\'\"abfnrtv";
  constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
  if (at == body.size()) return kBroken;
  const std::size_t letter = kLetters.find(body[at]);
  std::uint32_t code = 0;
  if (letter != std::string_view::npos) {
    ++at;
    out.push_back(static_cast<std::byte>(kMeanings[letter]));
    return nullptr;
  }
  if (body[at] == 'x') {
    ++at;
    if (!take_digits(body, at, 2, 16, code)) return kBroken;
  } else if (!take_digits(body, at, 3, 8, code) || code > 0xff) {
    return kBroken;
  }
  out.push_back(static_cast<std::byte>(code));
  return nullptr;
}

}  // namespace

const char* unquote(std::string_view line, std::vector<std::byte>& out) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.size() < 2 || (line[0] != '\'' && line[0] != '"') || line.back() != line[0]) {
    return "its string is not in quotes";
  }
  const std::string_view body = line.substr(1, line.size() - 2);
  for (std::size_t at = 0; at < body.size();) {
    if (body[at] != '\\') {
      out.push_back(static_cast<std::byte>(body[at++]));
      continue;
    }
    ++at;
    if (const char* problem = append_escape(body, at, out)) return problem;
  }
  return nullptr;
}

const char* decode_raw_unicode(std::string_view line, std::vector<std::byte>& out) {
  for (std::size_t at = 0; at < line.size();) {
    const bool is_short = line.substr(at).starts_with("\\u");
    const bool is_long = line.substr(at).starts_with("\\U");
    if (!is_short && !is_long) {
      append_utf8(static_cast<unsigned char>(line[at++]), out);
      continue;
    }
    at += 2;
    std::uint32_t code = 0;
    if (!take_digits(line, at, is_short ? 4 : 8, 16, code) || code > 0x10ffff) return "its text has a broken escape";
    append_utf8(code, out);
  }
  return nullptr;
}

}  // namespace plsc::eval
