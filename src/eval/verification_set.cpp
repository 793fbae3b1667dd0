#include "plsc/eval/verification_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "eval/check_set.h"
#include "eval/pickle.h"
#include "eval/pickle_reader.h"
#include "eval/read_file.h"
#include "plsc/core/error.h"

namespace plsc::eval {

namespace {

[[noreturn]] void fail_format(const std::string& path, const std::string& why) {
  throw Error(ErrorCode::data,
              fmt::format("{} is not an InsightFace verification file ({}). Give a .bin that holds the pickle of "
                          "(encoded images, same flags), such as lfw.bin.",
                          path, why));
}

/// Pickles begin with PROTO, or in protocols 0 and 1 with the MARK or list that opens (images, flags).
void check_beginning(std::span<const std::byte> bytes, const std::string& path) {
  if (bytes.empty()) fail_format(path, "it is empty");
  const auto first = std::to_integer<unsigned char>(bytes[0]);
  if (first != 0x80 && first != '(' && first != ']') {
    fail_format(path, fmt::format("its first byte is 0x{:02x}, which begins no such pickle", first));
  }
}

const std::vector<PickleRef>* items_of(const PickleValue& value) {
  if (const auto* list = std::get_if<PickleList>(&value)) return &list->items;
  if (const auto* tuple = std::get_if<PickleTuple>(&value)) return &tuple->items;
  return nullptr;
}

std::string describe_array(const PickleArray& array) {
  return fmt::format("a numpy array of {}{} with shape [{}]", array.dtype.kind, array.dtype.size,
                     fmt::join(array.shape, ", "));
}

/// Encoded images come as [n], [n, 1] or [1, n] (cv2.imencode); anything else is a picture already decoded.
std::optional<std::span<const std::byte>> encoded_bytes(const PickleArray& array) {
  const bool flat =
      array.shape.size() == 1 || (array.shape.size() == 2 && (array.shape[0] == 1 || array.shape[1] == 1));
  if (!array.filled || !flat || array.dtype.size != 1 || array.dtype.kind != 'u') return std::nullopt;
  return array.data;
}

std::vector<std::byte> image_from(const PickleValue& value, std::size_t index, const std::string& path) {
  std::vector<std::byte> image;
  if (const auto* bytes = std::get_if<PickleBytes>(&value)) {
    image.assign(bytes->data.begin(), bytes->data.end());
  } else if (const auto* text = std::get_if<PickleText>(&value)) {
    // A Python 2 string that somebody read with encoding="latin1" and wrote again.
    if (!to_latin1(text->utf8, image)) fail_format(path, fmt::format("image {} is a text, not bytes", index));
  } else if (const auto* array = std::get_if<PickleArray>(&value)) {
    const auto bytes_in_array = encoded_bytes(*array);
    if (!bytes_in_array) {
      fail_format(
          path, fmt::format("image {} is {}, expected uint8 bytes of an encoded image", index, describe_array(*array)));
    }
    image.assign(bytes_in_array->begin(), bytes_in_array->end());
  } else {
    fail_format(path, fmt::format("image {} is {}, expected bytes", index, kind_of(value)));
  }
  if (image.empty()) fail_format(path, fmt::format("image {} has no bytes", index));
  return image;
}

std::vector<std::vector<std::byte>> images_from(const PickleDocument& document, const PickleValue& value,
                                                std::size_t file_size, const std::string& path) {
  // One string may stand for many images, so a small file could fill the memory.
  constexpr std::uint64_t kMostRepetition = 32;
  const auto* items = items_of(value);
  if (items == nullptr) fail_format(path, fmt::format("its images are {}, expected a list", kind_of(value)));
  std::vector<std::vector<std::byte>> images;
  std::uint64_t total = 0;
  for (const PickleRef ref : *items) {
    images.push_back(image_from(document.values[ref], images.size(), path));
    total += images.back().size();
    if (total > kMostRepetition * file_size) {
      fail_format(path, fmt::format("its images add up to more than {} times the file", kMostRepetition));
    }
  }
  return images;
}

std::uint8_t flag_from(std::int64_t number, std::size_t index, const std::string& path) {
  if (number != 0 && number != 1) fail_format(path, fmt::format("same flag {} is {}, expected 0 or 1", index, number));
  return static_cast<std::uint8_t>(number);
}

std::vector<std::uint8_t> flags_from(const PickleDocument& document, const PickleValue& value,
                                     const std::string& path) {
  std::vector<std::uint8_t> flags;
  if (const auto* array = std::get_if<PickleArray>(&value)) {
    if (!array->filled || array->shape.size() != 1) {
      fail_format(path, fmt::format("its same flags are {}, expected one dimension", describe_array(*array)));
    }
    const auto count = static_cast<std::size_t>(array->shape[0]);
    while (flags.size() < count) flags.push_back(flag_from(element_of(*array, flags.size()), flags.size(), path));
    return flags;
  }
  const auto* items = items_of(value);
  if (items == nullptr) fail_format(path, fmt::format("its same flags are {}, expected a list", kind_of(value)));
  for (const PickleRef ref : *items) {
    const PickleValue& item = document.values[ref];
    if (const auto* flag = std::get_if<bool>(&item)) {
      flags.push_back(*flag ? 1 : 0);
    } else if (const auto* number = std::get_if<std::int64_t>(&item)) {
      flags.push_back(flag_from(*number, flags.size(), path));
    } else {
      fail_format(path, fmt::format("same flag {} is {}, expected a boolean", flags.size(), kind_of(item)));
    }
  }
  return flags;
}

}  // namespace

std::string VerificationSet::describe(std::size_t image) const {
  if (image < origins.size()) return origins[image];
  return fmt::format("{}, image {} (pair {}, {})", path, image, image / 2, image % 2 == 0 ? "first" : "second");
}

void check_flags(std::span<const std::uint8_t> same, const std::string& path) {
  if (same.empty()) {
    throw Error(ErrorCode::data, fmt::format("{} holds no pairs (verification needs some). Give another file.", path));
  }
  const auto matching = std::count(same.begin(), same.end(), std::uint8_t{1});
  if (matching == 0 || static_cast<std::size_t>(matching) == same.size()) {
    throw Error(ErrorCode::data, fmt::format("All {} pairs of {} are {} (a threshold between same and different people "
                                             "needs both). Give a set with both kinds.",
                                             same.size(), path, matching == 0 ? "different" : "same"));
  }
}

VerificationSet read_bin(const std::string& path) { return parse_bin(read_file(path), path); }

VerificationSet parse_bin(std::span<const std::byte> bytes, const std::string& path) {
  check_beginning(bytes, path);
  const PickleDocument document = unpickle(bytes, path);
  const PickleValue& root = document.values[document.root];
  const auto* parts = items_of(root);
  if (parts == nullptr) fail_format(path, fmt::format("its pickle is {}, expected a pair of lists", kind_of(root)));
  if (parts->size() != 2) {
    fail_format(path, fmt::format("its pickle is {} of {} items, expected 2: images and same flags", kind_of(root),
                                  parts->size()));
  }
  VerificationSet set;
  set.name = std::filesystem::path(path).stem().string();
  set.path = path;
  set.images = images_from(document, document.values[(*parts)[0]], bytes.size(), path);
  set.same = flags_from(document, document.values[(*parts)[1]], path);
  if (set.images.size() != 2 * set.same.size()) {
    fail_format(path, fmt::format("it holds {} images for {} same flags, expected {}", set.images.size(),
                                  set.same.size(), 2 * set.same.size()));
  }
  check_flags(set.same, path);
  return set;
}

}  // namespace plsc::eval
