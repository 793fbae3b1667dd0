#pragma once
// A mini-unpickler for protocols 0 to 5 that builds plain values and executes nothing. It knows lists, tuples, None,
// booleans, integers, byte strings (str of Python 2, bytes, bytearray, text through _codecs.encode) and numpy arrays of
// integers or booleans in C order; any other opcode or global is Error{data} with file, offset and name.
// Values live in one arena and refer to each other by index: a file may nest lists or even put one into itself without
// recursion, reference cycles or stack growth here. Byte strings are views of the file wherever they can be.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace plsc::eval {

using PickleRef = std::uint32_t;  ///< index in PickleDocument::values

struct PickleNone {};
struct PickleBytes {
  std::span<const std::byte> data;
};
struct PickleText {
  std::string_view utf8;
};
struct PickleList {
  std::vector<PickleRef> items;
};
struct PickleTuple {
  std::vector<PickleRef> items;
};
struct PickleGlobal {
  std::string name;  ///< "numpy.ndarray"
};
struct PickleDType {
  char kind = 'u';  ///< 'b' bool, 'i' signed, 'u' unsigned
  int size = 1;     ///< bytes: 1, 2, 4 or 8; values are little-endian
};
struct PickleArray {
  PickleDType dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;  ///< C order; size == product of shape * dtype.size
  bool filled = false;              ///< BUILD has given it its contents
};

using PickleValue = std::variant<PickleNone, bool, std::int64_t, PickleBytes, PickleText, PickleList, PickleTuple,
                                 PickleGlobal, PickleDType, PickleArray>;

/// "a list", "a byte string", ...
const char* kind_of(const PickleValue& value);

struct PickleDocument {
  std::vector<PickleValue> values;
  std::deque<std::vector<std::byte>> decoded;  ///< contents of strings that are not verbatim in the file
  PickleRef root = 0;
};

/// Reads one pickle. `bytes` must outlive the document; `file` is its path for messages.
PickleDocument unpickle(std::span<const std::byte> bytes, const std::string& file);

/// UTF-8 to Latin-1, as _codecs.encode(text, "latin1"); false when a character lies above 0xff or the text is broken.
bool to_latin1(std::string_view utf8, std::vector<std::byte>& out);

/// The element `index` of an integer or boolean array.
std::int64_t element_of(const PickleArray& array, std::size_t index);

}  // namespace plsc::eval
