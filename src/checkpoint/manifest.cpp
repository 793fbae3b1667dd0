#include "checkpoint/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "checkpoint/checksum.h"
#include "plsc/checkpoint/safetensors.h"
#include "plsc/core/error.h"

namespace plsc::checkpoint {

namespace {

constexpr const char* kFormat = "plsc-checkpoint";
constexpr int kVersion = 1;
constexpr std::uint64_t kMaxManifest = std::uint64_t{1} << 30;

struct NewerVersion : FieldError {
  using FieldError::FieldError;
};

std::string dump(const Json& json) { return json.dump(1, ' ', false, Json::error_handler_t::replace); }

std::uint64_t parse_checksum(const Json& json) {
  const std::string text = json.is_string() ? json.get<std::string>() : std::string();
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 16 || error != std::errc() || end != text.data() + text.size()) {
    throw FieldError("a checksum is not a text of 16 hexadecimal digits");
  }
  return value;
}

/// A file of the checkpoint lies in its directory; anything else must not be reached through a manifest.
std::string file_name_field(const Json& object, const std::string& key) {
  std::string name = text_field(object, key);
  if (name.empty() || name == "." || name == ".." || name.find_first_of(std::string("/\\\0", 3)) != std::string::npos) {
    throw FieldError(fmt::format("'{}' is not a file name", name));
  }
  return name;
}

std::map<std::string, std::string> texts_field(const Json& object, const std::string& key) {
  std::map<std::string, std::string> texts;
  for (const auto& [name, value] : object_field(object, key).items()) {
    if (!value.is_string()) throw FieldError(fmt::format("'{}.{}' is not a text", key, name));
    texts[name] = value.get<std::string>();
  }
  return texts;
}

/// JSON has no NaN and no infinity; those metrics are texts.
Json metric_json(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

double parse_metric(const std::string& name, const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  throw FieldError(fmt::format("metric '{}' is not a number", name));
}

void check_files(const Contents& contents) {
  std::map<std::string, std::uint64_t> sizes;
  for (const FileRecord& file : contents.files) {
    if (!sizes.emplace(file.name, file.bytes).second) throw FieldError(fmt::format("file {} stands twice", file.name));
  }
  for (const TensorRecord& tensor : contents.tensors) {
    const auto file = sizes.find(tensor.file);
    if (file == sizes.end()) {
      throw FieldError(fmt::format("tensor '{}' lies in {}, which is not listed", tensor.name, tensor.file));
    }
    if (checked_bytes(tensor.shape, tensor.dtype) > file->second) {
      throw FieldError(fmt::format("tensor '{}' is larger than its file {}", tensor.name, tensor.file));
    }
  }
}

/// Every tensor must be there once, all rows, without gap or overlap.
void check_rows(const Contents& contents) {
  std::map<std::pair<std::string, std::string>, const TensorRecord*> last;
  for (const TensorRecord& tensor : contents.tensors) {
    const TensorRecord*& before = last[{tensor.group, tensor.name}];
    const std::int64_t expected = before == nullptr ? 0 : before->end;
    bool fits = tensor.begin == expected;
    if (before != nullptr) {
      fits = fits && tensor.group == kHeadGroup && tensor.total == before->total && tensor.dtype == before->dtype &&
             tensor.row_bytes() == before->row_bytes();
    }
    if (!fits) {
      throw FieldError(fmt::format("rows {} to {} of {} '{}' do not continue the part before, which ends at row {}",
                                   tensor.begin, tensor.end, tensor.group, tensor.name, expected));
    }
    before = &tensor;
  }
  for (const auto& [key, tensor] : last) {
    if (tensor->end != tensor->total) {
      throw FieldError(
          fmt::format("rows {} to {} of {} '{}' are missing", tensor->end, tensor->total, tensor->group, tensor->name));
    }
  }
}

Contents from_json(Json json) {
  if (text_field(json, "format") != kFormat) throw FieldError("it is not a plsc-train manifest");
  const std::int64_t version = count_field(json, "version");
  if (version > kVersion) {
    throw NewerVersion(fmt::format("format version {}, this program reads up to {}", version, kVersion));
  }
  if (version < 1) throw FieldError("'version' is out of range");
  Contents contents;
  contents.manifest.step = count_field(json, "step");
  contents.manifest.samples = count_field(json, "samples");
  const std::int64_t world_size = count_field(json, "world_size");
  if (world_size < 1 || world_size > std::numeric_limits<int>::max()) throw FieldError("'world_size' is out of range");
  contents.manifest.world_size = static_cast<int>(world_size);
  contents.manifest.facts = texts_field(json, "facts");
  contents.manifest.tuned_choices = texts_field(json, "tuned_choices");
  for (const auto& [name, value] : object_field(json, "metrics").items()) {
    contents.manifest.metrics[name] = parse_metric(name, value);
  }
  for (const Json& file : array_field(json, "files")) contents.files.push_back(file_from_json(file));
  for (const Json& tensor : array_field(json, "tensors")) contents.tensors.push_back(tensor_from_json(tensor));
  check_files(contents);
  check_rows(contents);

  const std::uint64_t stored = parse_checksum(field(json, "checksum"));
  json.erase("checksum");
  const std::string body = dump(json);
  if (checksum(std::as_bytes(std::span(body))) != stored) throw FieldError("its checksum does not match");
  return contents;
}

}  // namespace

std::int64_t rows_of(const Shape& shape) { return shape.rank() == 0 ? 1 : shape[0]; }

std::int64_t blocks_of(std::int64_t rows, std::int64_t block_rows) {
  return rows / block_rows + (rows % block_rows != 0 ? 1 : 0);
}

std::uint64_t TensorRecord::row_bytes() const {
  Shape row = shape;
  if (row.rank() > 0) row[0] = 1;
  return checked_bytes(row, dtype);
}

Json to_json(const FileRecord& file) {
  Json json{{"name", file.name}, {"bytes", file.bytes}};
  if (file.checksum) json["checksum"] = checksum_text(*file.checksum);
  return json;
}

FileRecord file_from_json(const Json& json) {
  FileRecord file{file_name_field(json, "name"), static_cast<std::uint64_t>(count_field(json, "bytes")), {}};
  if (json.contains("checksum")) file.checksum = parse_checksum(json["checksum"]);
  return file;
}

Json to_json(const TensorRecord& tensor) {
  Json checksums = Json::array();
  for (const std::uint64_t value : tensor.checksums) checksums.push_back(checksum_text(value));
  return {{"group", tensor.group},
          {"name", tensor.name},
          {"file", tensor.file},
          {"dtype", safetensors_name(tensor.dtype)},
          {"shape", shape_numbers(tensor.shape)},
          {"begin", tensor.begin},
          {"end", tensor.end},
          {"total", tensor.total},
          {"block_rows", tensor.block_rows},
          {"checksums", std::move(checksums)}};
}

TensorRecord tensor_from_json(const Json& json) {
  TensorRecord tensor;
  tensor.group = text_field(json, "group");
  tensor.name = text_field(json, "name");
  tensor.file = file_name_field(json, "file");
  tensor.dtype = dtype_field(json, "dtype");
  tensor.shape = shape_field(json, "shape");
  tensor.begin = count_field(json, "begin");
  tensor.end = count_field(json, "end");
  tensor.total = count_field(json, "total");
  tensor.block_rows = count_field(json, "block_rows");
  for (const Json& value : array_field(json, "checksums")) tensor.checksums.push_back(parse_checksum(value));

  checked_bytes(tensor.shape, tensor.dtype);
  tensor.row_bytes();
  const bool known = tensor.group == kBackboneGroup || tensor.group == kOptimizerGroup || tensor.group == kHeadGroup;
  if (!known || tensor.begin > tensor.end || tensor.end > tensor.total || tensor.rows() != rows_of(tensor.shape) ||
      tensor.block_rows < 1 ||
      tensor.checksums.size() != static_cast<std::size_t>(blocks_of(tensor.rows(), tensor.block_rows))) {
    throw FieldError(fmt::format("group, row range, shape and checksums of tensor '{}' do not agree", tensor.name));
  }
  return tensor;
}

std::string format_contents(const Contents& contents) {
  const Manifest& manifest = contents.manifest;
  Json json{{"format", kFormat},
            {"version", kVersion},
            {"step", manifest.step},
            {"samples", manifest.samples},
            {"world_size", manifest.world_size},
            {"facts", manifest.facts},
            {"tuned_choices", manifest.tuned_choices},
            {"metrics", Json::object()},
            {"files", Json::array()},
            {"tensors", Json::array()}};
  for (const auto& [name, value] : manifest.metrics) json["metrics"][name] = metric_json(value);
  for (const FileRecord& file : contents.files) json["files"].push_back(to_json(file));
  for (const TensorRecord& tensor : contents.tensors) json["tensors"].push_back(to_json(tensor));
  const std::string body = dump(json);  // keys are sorted and numbers round-trip: a reader builds the same text again
  json["checksum"] = checksum_text(checksum(std::as_bytes(std::span(body))));
  return dump(json) + "\n";
}

Contents parse_contents(const std::string& text, const std::filesystem::path& directory) {
  const std::string file = (directory / kManifestName).string();
  try {
    Contents contents = from_json(parse_json(text));
    contents.manifest.directory = directory;
    return contents;
  } catch (const NewerVersion& error) {
    throw Error(
        ErrorCode::checkpoint,
        fmt::format("{} was written by a newer plsc-train ({}). Use that version or a later one.", file, error.what()));
  } catch (const FieldError& error) {
    throw Error(ErrorCode::checkpoint, fmt::format("{} is damaged ({}). Use another checkpoint.", file, error.what()));
  }
}

std::string read_manifest_text(const storage::Location& directory) {
  const std::filesystem::path file = directory.path / kManifestName;
  if (!directory.storage->exists(file)) {
    throw Error(ErrorCode::checkpoint,
                fmt::format("{} holds no complete checkpoint ({} is missing). Name a directory step_N that has one.",
                            directory.path.string(), kManifestName));
  }
  return storage::read_text(*directory.storage, file, kMaxManifest);
}

Contents read_contents(const storage::Location& directory) {
  return parse_contents(read_manifest_text(directory), directory.path);
}

Manifest read_manifest(const storage::Location& directory) { return read_contents(directory).manifest; }

std::string read_config(const storage::Location& directory) {
  const Contents contents = read_contents(directory);
  const std::filesystem::path path = directory.path / kConfigName;
  const auto record = std::find_if(contents.files.begin(), contents.files.end(),
                                   [](const FileRecord& file) { return file.name == kConfigName; });
  const char* problem = nullptr;
  std::string text;
  if (record == contents.files.end()) {
    problem = "the manifest does not list it";
  } else if (!directory.storage->exists(path)) {
    problem = "it is missing";
  } else {
    text = storage::read_text(*directory.storage, path, kMaxManifest);
    const bool same = text.size() == record->bytes && checksum(std::as_bytes(std::span(text))) == record->checksum;
    if (!same) problem = "it is not what the manifest's checksum says";
  }
  if (problem != nullptr) {
    throw Error(ErrorCode::checkpoint, fmt::format("{} cannot be used ({}). Use another checkpoint, or give --config.",
                                                   path.string(), problem));
  }
  return text;
}

void require_match(const Manifest& manifest, const std::map<std::string, std::string>& expected) {
  std::string differences;
  for (const auto& [key, value] : expected) {
    const auto found = manifest.facts.find(key);
    if (found != manifest.facts.end() && found->second == value) continue;
    const std::string there = found == manifest.facts.end() ? "not recorded" : "'" + found->second + "'";
    differences +=
        fmt::format("{}{}: checkpoint {}, this run '{}'", differences.empty() ? "" : "; ", key, there, value);
  }
  if (differences.empty()) return;
  throw Error(
      ErrorCode::checkpoint,
      fmt::format("checkpoint {} belongs to another run ({}). Continue with the configuration it was made with, "
                  "or start a new run from its backbone with train.init_from, which allows other classes.",
                  manifest.directory.string(), differences));
}

}  // namespace plsc::checkpoint
