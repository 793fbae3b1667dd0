#pragma once
// What REDUCE and BUILD mean for the few callables that the unpickler knows. Nothing is looked up or executed: names
// are compared with a fixed list.

#include <cstdint>
#include <string_view>
#include <vector>

#include "eval/pickle.h"
#include "eval/pickle_reader.h"

namespace plsc::eval {

class PickleObjects {
 public:
  PickleObjects(PickleDocument& document, const PickleReader& reader) : document_(document), reader_(reader) {}

  /// A GLOBAL: fails unless module.name is on the list.
  PickleValue global(std::string_view module, std::string_view name) const;
  /// callable(*arguments) for callable on the list.
  PickleValue reduce(PickleRef callable, PickleRef arguments);
  /// object.__setstate__(state) for numpy dtypes and arrays.
  void build(PickleRef object, PickleRef state);

  /// Keeps `content` for the life of the document. The total stays within a few times the size of the file, which no
  /// honest file exceeds: each string is decoded once.
  std::span<const std::byte> keep(std::vector<std::byte> content);

 private:
  using Items = std::vector<PickleRef>;

  const PickleValue& value(PickleRef ref) const { return document_.values[ref]; }
  PickleValue encode(const Items& arguments);
  PickleValue bytes_from(const Items& arguments);
  PickleValue dtype(const Items& arguments) const;
  PickleValue scalar(const Items& arguments) const;
  PickleValue from_buffer(const Items& arguments) const;
  PickleArray make_array(PickleDType dtype, PickleRef shape, PickleRef data) const;
  void build_dtype(const Items& state) const;

  std::string_view text_of(PickleRef ref, const char* what) const;  ///< text or byte string
  std::span<const std::byte> bytes_of(PickleRef ref, const char* what) const;
  template <class T>
  const T& expect(PickleRef ref, const char* what) const;

  PickleDocument& document_;
  const PickleReader& reader_;
  std::uint64_t kept_ = 0;  ///< bytes in document_.decoded
};

}  // namespace plsc::eval
