#pragma once
// A YAML document as plain values that know where they stand, so that merged files still report their own lines.

#include <string>
#include <vector>

namespace plsc::config {

struct Place {
  std::string file;
  int line = 0;  ///< from 1; 0: the value comes from --set
};

struct Value {
  enum class Kind { null, scalar, list, map };

  Kind kind = Kind::null;
  Place place;                    ///< of the key for values of a map, of the value itself otherwise
  std::string text;               ///< scalar
  bool quoted = false;            ///< scalar: written in quotes, so it is text and no number
  std::vector<std::string> keys;  ///< map: keys[i] belongs to items[i]
  std::vector<Value> items;       ///< list and map
};

/// Throws Error{config} for a message that begins with the dotted key.
[[noreturn]] void fail(const Place& place, const std::string& message);

/// What a value is, for messages: `the text "abc"`, `a list`, `nothing`.
std::string description(const Value& value);

}  // namespace plsc::config
