#pragma once
// The one table of all keys: reading, printing, bound checks and suggestions are made from it, so none can drift.

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "plsc/config/config.h"

namespace plsc::config {

/// An allowed range; infinite ends are no limit.
struct Bounds {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;  ///< low itself is not allowed
  bool high_open = false;

  bool contains(double value) const;
  std::string text() const;  ///< "at least 1", "above 0", "from 0 to 1", "at least 0 and below 1"
};

/// A size in bytes: read with units.
struct Bytes {
  std::int64_t* value;
};

/// An enumeration member: its spellings in the order of its values, which start at 0.
struct Choice {
  std::vector<std::string_view> names;
  std::function<std::size_t()> get;
  std::function<void(std::size_t)> set;
};

/// Where a key's value lives; points into the Config that the schema was made for.
using Target = std::variant<bool*, int*, std::int64_t*, std::uint64_t*, float*, double*, Bytes, Choice, std::string*,
                            std::vector<double>*, std::vector<std::string>*>;

struct Field {
  std::string key;  ///< full dotted key
  Target target;
  std::string doc;
  Bounds bounds;  ///< of numbers, and of each element of a list of numbers
};

struct Section {
  std::string key;
  std::string doc;
};

struct Schema {
  std::vector<Section> sections;  ///< a section stands before its keys and sub-sections
  std::vector<Field> fields;

  const Field* find_field(const std::string& key) const;
  bool has_section(const std::string& key) const;
};

/// The table for `config`, which must outlive it.
Schema make_schema(Config& config);

/// The value of a field as a YAML scalar or flow list.
std::string print_value(const Field& field);

}  // namespace plsc::config
