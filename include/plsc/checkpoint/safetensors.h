#pragma once
// The safetensors file format (https://github.com/huggingface/safetensors): 8 bytes little-endian header length, a JSON
// header, then the tensors' bytes without gaps. Only the header is handled here; data are streamed by the caller.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plsc/core/shape.h"
#include "plsc/storage/storage.h"

namespace plsc::checkpoint {

struct TensorInfo {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::uint64_t offset = 0;  ///< of the first byte in the file
  std::uint64_t bytes = 0;
};

/// What a file will hold: write `header`, then the tensors' bytes in the order of `tensors`.
struct SafetensorsPlan {
  std::string header;  ///< length, JSON and padding: a multiple of 64 bytes
  std::vector<TensorInfo> tensors;
  std::uint64_t file_bytes = 0;
};

/// Name, dtype and shape of each tensor are given; order (wide types first, then by name, so that every tensor is
/// aligned) and offsets are found here. Equal names are Error{internal}.
SafetensorsPlan plan_safetensors(std::vector<TensorInfo> tensors);

/// Reads a header as hostile input: lengths, offsets, overlaps, gaps, names and types are checked; anything wrong is
/// Error{checkpoint} that names `file`. In file order.
std::vector<TensorInfo> read_safetensors_header(const storage::Reader& reader, const std::string& file);

/// "F32", "I64", ...
const char* safetensors_name(DType dtype);
std::optional<DType> safetensors_dtype(const std::string& name);

}  // namespace plsc::checkpoint
