#pragma once
// JSON from files that may be damaged or hostile: bounded nesting, no duplicate keys, fields of checked type.
// Everything wrong is a FieldError; callers add the file's name.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "plsc/core/shape.h"

namespace plsc::checkpoint {

using Json = nlohmann::json;

struct FieldError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

Json parse_json(const std::string& text);

const Json& field(const Json& object, const std::string& key);
std::string text_field(const Json& object, const std::string& key);
/// A whole number in [0, 2^63).
std::int64_t count_field(const Json& object, const std::string& key);
const Json& array_field(const Json& object, const std::string& key);
const Json& object_field(const Json& object, const std::string& key);

DType dtype_field(const Json& object, const std::string& key);  ///< safetensors' type names
Shape shape_field(const Json& object, const std::string& key);
std::vector<std::uint64_t> shape_numbers(const Shape& shape);

/// Bytes of a tensor; a product above 2^63 is a FieldError.
std::uint64_t checked_bytes(const Shape& shape, DType dtype);

}  // namespace plsc::checkpoint
