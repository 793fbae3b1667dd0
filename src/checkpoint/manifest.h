#pragma once
// The whole content of manifest.json: the public Manifest, and which bytes of which file hold which rows.

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/json_fields.h"
#include "plsc/checkpoint/checkpoint.h"

namespace plsc::checkpoint {

inline constexpr const char* kManifestName = "manifest.json";
inline constexpr const char* kConfigName = "config.yaml";
inline constexpr const char* kBackboneName = "backbone.safetensors";
inline constexpr const char* kOptimizerName = "optimizer.safetensors";

inline constexpr const char* kBackboneGroup = "backbone";
inline constexpr const char* kOptimizerGroup = "optimizer";
inline constexpr const char* kHeadGroup = "head";

struct FileRecord {
  std::string name;
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> checksum;  ///< of the whole file, where no tensor checksums cover it
};

/// Rows [begin, end) of `total` of one tensor, in one file. A tensor of rank 0 is one row.
struct TensorRecord {
  std::string group;
  std::string name;
  std::string file;
  DType dtype = DType::f32;
  Shape shape;  ///< of the part in this file
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t total = 0;
  std::int64_t block_rows = 1;  ///< rows per checksum; the last block may be shorter
  std::vector<std::uint64_t> checksums;

  std::int64_t rows() const { return end - begin; }
  std::uint64_t row_bytes() const;
};

struct Contents {
  Manifest manifest;
  std::vector<FileRecord> files;
  std::vector<TensorRecord> tensors;  ///< parts of a head tensor by ascending rows
};

std::int64_t rows_of(const Shape& shape);
std::int64_t blocks_of(std::int64_t rows, std::int64_t block_rows);

Json to_json(const FileRecord& file);
Json to_json(const TensorRecord& tensor);
FileRecord file_from_json(const Json& json);      ///< FieldError when wrong
TensorRecord tensor_from_json(const Json& json);  ///< FieldError when wrong

std::string format_contents(const Contents& contents);
/// Error{checkpoint} names directory/manifest.json.
Contents parse_contents(const std::string& text, const std::filesystem::path& directory);

std::string read_manifest_text(const storage::Location& directory);
Contents read_contents(const storage::Location& directory);

}  // namespace plsc::checkpoint
