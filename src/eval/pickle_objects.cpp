#include "eval/pickle_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace plsc::eval {

namespace {

// Every global that a verification file may name; numpy 2 moved numpy.core to numpy._core.
constexpr std::array<std::string_view, 13> kGlobals = {"_codecs.encode",
                                                       "__builtin__.bytes",
                                                       "builtins.bytes",
                                                       "__builtin__.bytearray",
                                                       "builtins.bytearray",
                                                       "numpy.ndarray",
                                                       "numpy.dtype",
                                                       "numpy.core.multiarray._reconstruct",
                                                       "numpy._core.multiarray._reconstruct",
                                                       "numpy.core.multiarray.scalar",
                                                       "numpy._core.multiarray.scalar",
                                                       "numpy.core.numeric._frombuffer",
                                                       "numpy._core.numeric._frombuffer"};

bool is_numpy(std::string_view name, std::string_view member) {
  return (name.starts_with("numpy.core.") || name.starts_with("numpy._core.")) && name.ends_with(member);
}

bool is_latin1(std::string_view encoding) {
  return encoding == "latin1" || encoding == "latin-1" || encoding == "iso-8859-1";
}

/// Product of the dimensions times item size, or nothing when it does not fit 63 bits.
std::optional<std::uint64_t> bytes_in(const std::vector<std::int64_t>& shape, int item_size) {
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 62;
  std::uint64_t total = static_cast<std::uint64_t>(item_size);
  for (const std::int64_t extent : shape) {
    const auto factor = static_cast<std::uint64_t>(extent);
    if (factor != 0 && total > kLimit / factor) return std::nullopt;
    total *= factor;
  }
  return total;
}

}  // namespace

template <class T>
const T& PickleObjects::expect(PickleRef ref, const char* what) const {
  const T* found = std::get_if<T>(&value(ref));
  if (found == nullptr) reader_.fail_damaged(fmt::format("{} is {}", what, kind_of(value(ref))));
  return *found;
}

std::string_view PickleObjects::text_of(PickleRef ref, const char* what) const {
  if (const auto* bytes = std::get_if<PickleBytes>(&value(ref))) return as_text(bytes->data);
  return expect<PickleText>(ref, what).utf8;
}

std::span<const std::byte> PickleObjects::bytes_of(PickleRef ref, const char* what) const {
  return expect<PickleBytes>(ref, what).data;
}

std::span<const std::byte> PickleObjects::keep(std::vector<std::byte> content) {
  constexpr std::uint64_t kFactor = 4;
  kept_ += content.size();
  if (kept_ > kFactor * reader_.size()) {
    reader_.fail_damaged(fmt::format("its strings decode to more than {} times the file", kFactor));
  }
  document_.decoded.push_back(std::move(content));
  return document_.decoded.back();
}

PickleValue PickleObjects::global(std::string_view module, std::string_view name) const {
  const std::string full = fmt::format("{}.{}", module, name);
  if (std::find(kGlobals.begin(), kGlobals.end(), full) == kGlobals.end()) reader_.fail_global(full);
  return PickleGlobal{full};
}

PickleValue PickleObjects::reduce(PickleRef callable, PickleRef arguments) {
  const std::string_view name = expect<PickleGlobal>(callable, "the callable").name;
  const Items& items = expect<PickleTuple>(arguments, "the argument list").items;
  if (name == "_codecs.encode") return encode(items);
  if (name.ends_with(".bytes") || name.ends_with(".bytearray")) return bytes_from(items);
  if (name == "numpy.dtype") return dtype(items);
  if (is_numpy(name, "._reconstruct")) return PickleArray{};
  if (is_numpy(name, ".scalar")) return scalar(items);
  if (is_numpy(name, "._frombuffer")) return from_buffer(items);
  reader_.fail_unsupported(fmt::format("{} is called", name));
}

PickleValue PickleObjects::encode(const Items& arguments) {
  if (arguments.size() != 2) {
    reader_.fail_damaged(fmt::format("_codecs.encode has {} arguments, not 2", arguments.size()));
  }
  const std::string_view encoding = text_of(arguments[1], "the encoding");
  if (!is_latin1(encoding)) reader_.fail_unsupported(fmt::format("encoding \"{}\", not latin1", encoding));
  std::vector<std::byte> content;
  if (!to_latin1(expect<PickleText>(arguments[0], "the argument of _codecs.encode").utf8, content)) {
    reader_.fail_damaged("the text of _codecs.encode is not Latin-1");
  }
  return PickleBytes{keep(std::move(content))};
}

PickleValue PickleObjects::bytes_from(const Items& arguments) {
  if (arguments.empty()) return PickleBytes{};
  if (arguments.size() == 2) return encode(arguments);  // bytearray(text, "latin-1")
  if (arguments.size() != 1) {
    reader_.fail_damaged(fmt::format("a byte string is made from {} arguments", arguments.size()));
  }
  return PickleBytes{bytes_of(arguments[0], "the content of a byte string")};
}

PickleValue PickleObjects::dtype(const Items& arguments) const {
  if (arguments.empty()) reader_.fail_damaged("numpy.dtype has no arguments");
  const std::string_view code = text_of(arguments[0], "the name of a numpy dtype");
  const bool known = code.size() == 2 && std::string_view("biu").find(code[0]) != std::string_view::npos &&
                     std::string_view("1248").find(code[1]) != std::string_view::npos &&
                     (code[0] != 'b' || code == "b1");
  if (!known) {
    reader_.fail_unsupported(fmt::format("numpy dtype \"{}\"; images are uint8, flags bool or integer", code));
  }
  return PickleDType{code[0], code[1] - '0'};
}

PickleValue PickleObjects::scalar(const Items& arguments) const {
  if (arguments.size() != 2) {
    reader_.fail_damaged(fmt::format("a numpy scalar has {} arguments, not 2", arguments.size()));
  }
  PickleArray single;
  single.dtype = expect<PickleDType>(arguments[0], "the type of a numpy scalar");
  single.data = bytes_of(arguments[1], "the content of a numpy scalar");
  if (single.data.size() != static_cast<std::size_t>(single.dtype.size)) {
    reader_.fail_damaged(fmt::format("a numpy scalar of {} bytes holds {}", single.dtype.size, single.data.size()));
  }
  const std::int64_t number = element_of(single, 0);
  if (single.dtype.kind == 'b') return number != 0;
  return number;
}

PickleValue PickleObjects::from_buffer(const Items& arguments) const {
  if (arguments.size() != 4) {
    reader_.fail_damaged(fmt::format("numpy's _frombuffer has {} arguments, not 4", arguments.size()));
  }
  if (text_of(arguments[3], "the order of a numpy array") != "C") {
    reader_.fail_unsupported("a numpy array that is not in C order");
  }
  return make_array(expect<PickleDType>(arguments[1], "the type of a numpy array"), arguments[2], arguments[0]);
}

PickleArray PickleObjects::make_array(PickleDType dtype, PickleRef shape, PickleRef data) const {
  constexpr std::size_t kMostDimensions = 32;  // numpy's own limit
  PickleArray array;
  array.dtype = dtype;
  const Items& extents = expect<PickleTuple>(shape, "the shape of a numpy array").items;
  if (extents.size() > kMostDimensions) {
    reader_.fail_damaged(fmt::format("a numpy array has {} dimensions", extents.size()));
  }
  for (const PickleRef extent : extents) {
    const std::int64_t number = expect<std::int64_t>(extent, "an extent of a numpy array");
    if (number < 0) reader_.fail_damaged(fmt::format("a numpy array has an extent of {}", number));
    array.shape.push_back(number);
  }
  array.data = bytes_of(data, "the content of a numpy array");
  if (bytes_in(array.shape, dtype.size) != array.data.size()) {
    reader_.fail_damaged(fmt::format("a numpy array of shape [{}] and {} bytes per item holds {} bytes",
                                     fmt::join(array.shape, ", "), dtype.size, array.data.size()));
  }
  array.filled = true;
  return array;
}

void PickleObjects::build(PickleRef object, PickleRef state) {
  const Items& items = expect<PickleTuple>(state, "the state of an object").items;
  if (std::holds_alternative<PickleDType>(value(object))) return build_dtype(items);
  const auto& array = expect<PickleArray>(object, "the object that gets a state");
  if (array.filled) reader_.fail_damaged("a numpy array is filled twice");
  if (items.size() != 5)
    reader_.fail_damaged(fmt::format("the state of a numpy array has {} parts, not 5", items.size()));
  if (expect<bool>(items[3], "the order flag of a numpy array")) {
    reader_.fail_unsupported("a numpy array that is not in C order");
  }
  document_.values[object] = make_array(expect<PickleDType>(items[2], "the type of a numpy array"), items[1], items[4]);
}

void PickleObjects::build_dtype(const Items& state) const {
  // (version, byte order, ...): only the order says more than the name did.
  if (state.size() < 2) reader_.fail_damaged(fmt::format("the state of a numpy dtype has {} parts", state.size()));
  const std::string_view order = text_of(state[1], "the byte order of a numpy dtype");
  if (order != "|" && order != "<" && order != "=") {
    reader_.fail_unsupported(fmt::format("numpy dtype with byte order \"{}\"", order));
  }
}

bool to_latin1(std::string_view utf8, std::vector<std::byte>& out) {
  out.clear();
  out.reserve(utf8.size());
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto first = static_cast<unsigned char>(utf8[i]);
    if (first < 0x80) {
      out.push_back(static_cast<std::byte>(first));
      continue;
    }
    // U+0080 to U+00FF are C2 80 to C3 BF.
    if (first != 0xc2 && first != 0xc3) return false;
    if (++i == utf8.size()) return false;
    const auto second = static_cast<unsigned char>(utf8[i]);
    if ((second & 0xc0U) != 0x80) return false;
    out.push_back(static_cast<std::byte>((first & 0x03U) << 6 | (second & 0x3fU)));
  }
  return true;
}

std::int64_t element_of(const PickleArray& array, std::size_t index) {
  const auto size = static_cast<std::size_t>(array.dtype.size);
  const auto part = array.data.subspan(index * size, size);
  std::uint64_t bits = 0;
  for (std::size_t i = size; i-- > 0;) bits = bits << 8 | std::to_integer<std::uint64_t>(part[i]);
  const int unused = 64 - 8 * array.dtype.size;
  if (array.dtype.kind == 'i') return static_cast<std::int64_t>(bits << unused) >> unused;
  return static_cast<std::int64_t>(bits);
}

}  // namespace plsc::eval
