#include "plsc/checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "checkpoint/json_fields.h"
#include "plsc/core/error.h"

namespace plsc::checkpoint {

namespace {

static_assert(std::endian::native == std::endian::little,
              "safetensors data are little-endian and streamed as they are");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the bound of the reference implementation

constexpr std::array<std::pair<DType, const char*>, 7> kNames{{{DType::f32, "F32"},
                                                               {DType::bf16, "BF16"},
                                                               {DType::f16, "F16"},
                                                               {DType::f64, "F64"},
                                                               {DType::u8, "U8"},
                                                               {DType::i32, "I32"},
                                                               {DType::i64, "I64"}}};

std::string read_header_text(const storage::Reader& reader) {
  if (reader.size() < kLengthBytes) {
    throw FieldError(fmt::format("it has {} bytes, fewer than the header length needs", reader.size()));
  }
  std::uint64_t length = 0;
  reader.read(0, std::as_writable_bytes(std::span(&length, 1)));
  if (length > kMaxHeader || length > reader.size() - kLengthBytes) {
    throw FieldError(fmt::format("its header length {} does not fit a file of {} bytes", length, reader.size()));
  }
  std::string text(length, '\0');
  reader.read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  if (text.empty() || text.front() != '{') throw FieldError("its header does not begin with '{'");
  return text;
}

/// `offset` stays relative to the data here.
TensorInfo parse_tensor(const std::string& name, const Json& entry, std::uint64_t data_bytes) {
  TensorInfo tensor{name, dtype_field(entry, "dtype"), shape_field(entry, "shape")};
  const Json& offsets = array_field(entry, "data_offsets");
  if (offsets.size() != 2 || !offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned()) {
    throw FieldError("'data_offsets' is not a pair of whole numbers");
  }
  const auto begin = offsets[0].get<std::uint64_t>();
  const auto end = offsets[1].get<std::uint64_t>();
  if (begin > end || end > data_bytes) {
    throw FieldError(fmt::format("its bytes {} to {} leave the {} bytes of data", begin, end, data_bytes));
  }
  tensor.offset = begin;
  tensor.bytes = checked_bytes(tensor.shape, tensor.dtype);
  if (tensor.bytes != end - begin) {
    throw FieldError(fmt::format("shape {} of {} needs {} bytes, {} are given", tensor.shape.text(),
                                 safetensors_name(tensor.dtype), tensor.bytes, end - begin));
  }
  return tensor;
}

std::vector<TensorInfo> parse_header(const std::string& text, std::uint64_t file_bytes) {
  const std::uint64_t data_begin = kLengthBytes + text.size();
  const std::uint64_t data_bytes = file_bytes - data_begin;
  const Json header = parse_json(text);
  std::vector<TensorInfo> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    try {
      tensors.push_back(parse_tensor(name, entry, data_bytes));
    } catch (const FieldError& error) {
      throw FieldError(fmt::format("tensor '{}': {}", name, error.what()));
    }
  }
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
  std::uint64_t expected = 0;
  for (TensorInfo& tensor : tensors) {
    if (tensor.offset != expected) {
      throw FieldError(fmt::format("tensor '{}' begins at data byte {} (the one before it ends at {}: {})", tensor.name,
                                   tensor.offset, expected, tensor.offset < expected ? "overlap" : "gap"));
    }
    expected += tensor.bytes;
    tensor.offset += data_begin;
  }
  if (expected != data_bytes) {
    throw FieldError(fmt::format("its tensors need {} bytes of data, it has {}", expected, data_bytes));
  }
  return tensors;
}

}  // namespace

const char* safetensors_name(DType dtype) {
  for (const auto& [type, name] : kNames) {
    if (type == dtype) return name;
  }
  throw Error(ErrorCode::internal, fmt::format("element type {} has no safetensors name.", name_of(dtype)));
}

std::optional<DType> safetensors_dtype(const std::string& name) {
  for (const auto& [type, text] : kNames) {
    if (name == text) return type;
  }
  return std::nullopt;
}

SafetensorsPlan plan_safetensors(std::vector<TensorInfo> tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    const std::size_t a_size = size_of(a.dtype);
    const std::size_t b_size = size_of(b.dtype);
    return a_size != b_size ? a_size > b_size : a.name < b.name;
  });
  nlohmann::ordered_json header;
  header["__metadata__"] = {{"format", "pt"}};
  std::uint64_t end = 0;
  for (TensorInfo& tensor : tensors) {
    if (header.contains(tensor.name)) {
      throw Error(ErrorCode::internal, fmt::format("two tensors of one file are named '{}'.", tensor.name));
    }
    tensor.bytes = checked_bytes(tensor.shape, tensor.dtype);
    tensor.offset = end;
    end += tensor.bytes;
    header[tensor.name] = {{"dtype", safetensors_name(tensor.dtype)},
                           {"shape", shape_numbers(tensor.shape)},
                           {"data_offsets", {tensor.offset, end}}};
  }
  std::string text = header.dump();
  text.append((kAlignment - (kLengthBytes + text.size()) % kAlignment) % kAlignment, ' ');

  SafetensorsPlan plan;
  const std::uint64_t length = text.size();
  plan.header.resize(kLengthBytes);
  std::memcpy(plan.header.data(), &length, kLengthBytes);
  plan.header += text;
  for (TensorInfo& tensor : tensors) tensor.offset += plan.header.size();
  plan.tensors = std::move(tensors);
  plan.file_bytes = plan.header.size() + end;
  return plan;
}

std::vector<TensorInfo> read_safetensors_header(const storage::Reader& reader, const std::string& file) {
  try {
    return parse_header(read_header_text(reader), reader.size());
  } catch (const FieldError& error) {
    throw Error(ErrorCode::checkpoint,
                fmt::format("{} is no readable safetensors file ({}). Use another checkpoint, or "
                            "fetch the file again.",
                            file, error.what()));
  }
}

}  // namespace plsc::checkpoint
