#pragma once
// The two text notations of pickle protocol 0.

#include <cstddef>
#include <string_view>
#include <vector>

namespace plsc::eval {

/// Appends the decoded line to `out`; returns what is wrong with it, or nullptr.
using LineDecoder = const char* (*)(std::string_view line, std::vector<std::byte>& out);

/// STRING: a quoted Python 2 byte string with escapes, as repr() writes it.
const char* unquote(std::string_view line, std::vector<std::byte>& out);
/// UNICODE: Latin-1 with \uXXXX and \UXXXXXXXX; decoded to UTF-8.
const char* decode_raw_unicode(std::string_view line, std::vector<std::byte>& out);

}  // namespace plsc::eval
