#include "checkpoint/json_fields.h"

#include <fmt/format.h>

#include <limits>
#include <set>

#include "plsc/checkpoint/safetensors.h"

namespace plsc::checkpoint {

namespace {

constexpr int kMaxDepth = 16;
constexpr auto kMaxCount = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

std::uint64_t count_of(const Json& value, const std::string& key) {
  if (!value.is_number_integer() || (!value.is_number_unsigned() && value.get<std::int64_t>() < 0) ||
      value.get<std::uint64_t>() > kMaxCount) {
    throw FieldError(fmt::format("'{}' is not a whole number from 0 to 2^63 - 1", key));
  }
  return value.get<std::uint64_t>();
}

}  // namespace

Json parse_json(const std::string& text) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) throw FieldError(fmt::format("nested deeper than {} levels", kMaxDepth));
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      throw FieldError(fmt::format("key '{}' stands twice", value.get<std::string>()));
    }
    return true;
  };
  try {
    return Json::parse(text, check);
  } catch (const Json::exception& error) {
    throw FieldError(fmt::format("not valid JSON: {}", error.what()));
  }
}

const Json& field(const Json& object, const std::string& key) {
  if (!object.is_object()) throw FieldError(fmt::format("an object with '{}' is expected", key));
  const auto found = object.find(key);
  if (found == object.end()) throw FieldError(fmt::format("'{}' is missing", key));
  return *found;
}

std::string text_field(const Json& object, const std::string& key) {
  const Json& value = field(object, key);
  if (!value.is_string()) throw FieldError(fmt::format("'{}' is not a text", key));
  return value.get<std::string>();
}

std::int64_t count_field(const Json& object, const std::string& key) {
  return static_cast<std::int64_t>(count_of(field(object, key), key));
}

const Json& array_field(const Json& object, const std::string& key) {
  const Json& value = field(object, key);
  if (!value.is_array()) throw FieldError(fmt::format("'{}' is not a list", key));
  return value;
}

const Json& object_field(const Json& object, const std::string& key) {
  const Json& value = field(object, key);
  if (!value.is_object()) throw FieldError(fmt::format("'{}' is not an object", key));
  return value;
}

DType dtype_field(const Json& object, const std::string& key) {
  const std::string name = text_field(object, key);
  const std::optional<DType> dtype = safetensors_dtype(name);
  if (!dtype)
    throw FieldError(fmt::format("type '{}' is unknown (F64, F32, F16, BF16, I64, I32 and U8 are read)", name));
  return *dtype;
}

Shape shape_field(const Json& object, const std::string& key) {
  const Json& dims = array_field(object, key);
  switch (dims.size()) {
    case 0: return {};
    case 1: return {static_cast<std::int64_t>(count_of(dims[0], key))};
    default: break;
  }
  if (dims.size() > 4) throw FieldError(fmt::format("'{}' has {} dimensions (at most 4 are read)", key, dims.size()));
  Shape shape = dims.size() == 2 ? Shape{0, 0} : dims.size() == 3 ? Shape{0, 0, 0} : Shape{0, 0, 0, 0};
  for (int axis = 0; axis < shape.rank(); ++axis) {
    shape[axis] = static_cast<std::int64_t>(count_of(dims[static_cast<std::size_t>(axis)], key));
  }
  return shape;
}

std::vector<std::uint64_t> shape_numbers(const Shape& shape) {
  std::vector<std::uint64_t> numbers;
  for (int axis = 0; axis < shape.rank(); ++axis) numbers.push_back(static_cast<std::uint64_t>(shape[axis]));
  return numbers;
}

std::uint64_t checked_bytes(const Shape& shape, DType dtype) {
  std::uint64_t bytes = size_of(dtype);
  for (const std::uint64_t dim : shape_numbers(shape)) {
    if (dim != 0 && bytes > kMaxCount / dim) {
      throw FieldError(fmt::format("shape {} of {} is too large", shape.text(), name_of(dtype)));
    }
    bytes *= dim;
  }
  return bytes;
}

}  // namespace plsc::checkpoint
