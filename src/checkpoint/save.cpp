#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "checkpoint/checksum.h"
#include "checkpoint/directory.h"
#include "checkpoint/manifest.h"
#include "plsc/checkpoint/checkpoint.h"
#include "plsc/checkpoint/safetensors.h"
#include "plsc/comm/agreement.h"
#include "plsc/core/error.h"

namespace plsc::checkpoint {

namespace {

constexpr std::uint64_t kBlockBytes = std::uint64_t{4} << 20;  // unit of writing, checksums and reading

/// Everything that one file of tensors will hold, by reference.
struct TensorFile {
  std::string group;
  std::string name;
  std::vector<ShardedTensor> parts;
};

struct Report {
  std::vector<FileRecord> files;
  std::vector<TensorRecord> tensors;
};

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw Error(ErrorCode::internal, fmt::format("tensor '{}' cannot be saved ({}).", name, why));
}

void check_tensor(const std::string& name, const Tensor& tensor) {
  if (!tensor.defined()) refuse(name, "it has no memory");
  if (tensor.memory_kind() != MemoryKind::host) refuse(name, "it is in device memory; copy it to the host first");
  if (tensor.layout() != Layout::plain) refuse(name, "its layout is blocked; convert it to plain first");
}

TensorFile whole_tensors(const std::string& group, const std::string& file, const std::vector<NamedTensor>& tensors) {
  TensorFile out{group, file, {}};
  for (const NamedTensor& named : tensors) {
    check_tensor(named.name, named.tensor);
    out.parts.push_back({named.name, 0, rows_of(named.tensor.shape()), named.tensor});
  }
  return out;
}

TensorFile head_shard(const std::vector<ShardedTensor>& tensors, int rank, int world_size) {
  TensorFile out{kHeadGroup, fmt::format("head-{:05}-of-{:05}.safetensors", rank, world_size), tensors};
  for (const ShardedTensor& part : tensors) {
    check_tensor(part.name, part.tensor);
    if (part.tensor.shape().rank() == 0) refuse(part.name, "a sharded tensor needs rows");
  }
  return out;
}

TensorRecord describe(const TensorFile& file, const ShardedTensor& part) {
  TensorRecord record;
  record.group = file.group;
  record.name = part.name;
  record.file = file.name;
  record.dtype = part.tensor.dtype();
  record.shape = part.tensor.shape();
  record.begin = part.begin;
  record.end = part.begin + rows_of(part.tensor.shape());
  record.total = part.total;
  const std::uint64_t row_bytes = std::max<std::uint64_t>(1, record.row_bytes());
  record.block_rows = std::max<std::int64_t>(1, static_cast<std::int64_t>(kBlockBytes / row_bytes));
  return record;
}

/// Streams one tensor, block by block, straight from the caller's memory; each block is hashed while it is in cache.
void write_blocks(storage::Writer& writer, const Tensor& tensor, TensorRecord& record) {
  const auto* data = static_cast<const std::byte*>(tensor.raw());
  const std::uint64_t row_bytes = record.row_bytes();
  for (std::int64_t row = 0; row < record.rows(); row += std::min(record.block_rows, record.rows() - row)) {
    const std::int64_t rows = std::min(record.block_rows, record.rows() - row);
    const std::span block(data + static_cast<std::uint64_t>(row) * row_bytes,
                          static_cast<std::size_t>(static_cast<std::uint64_t>(rows) * row_bytes));
    record.checksums.push_back(checksum(block));
    writer.write(block);
  }
}

void write_tensor_file(storage::Storage& storage, const std::filesystem::path& directory, const TensorFile& file,
                       Report& report) {
  std::vector<TensorInfo> infos;
  for (const ShardedTensor& part : file.parts)
    infos.push_back({part.name, part.tensor.dtype(), part.tensor.shape(), 0, 0});
  const SafetensorsPlan plan = plan_safetensors(std::move(infos));
  const auto writer = storage.open_write(directory / file.name, plan.file_bytes);
  writer->write(std::as_bytes(std::span(plan.header)));
  for (const TensorInfo& info : plan.tensors) {
    const auto part = std::find_if(file.parts.begin(), file.parts.end(),
                                   [&](const ShardedTensor& candidate) { return candidate.name == info.name; });
    TensorRecord record = describe(file, *part);
    write_blocks(*writer, part->tensor, record);
    report.tensors.push_back(std::move(record));
  }
  writer->close();
  report.files.push_back({file.name, plan.file_bytes, std::nullopt});
}

/// Writes this rank's files; the text goes to rank 0.
std::string write_files(const Snapshot& snapshot, storage::Storage& storage, const std::filesystem::path& directory,
                        int rank, int world_size) {
  Report report;
  storage.make_directories(directory);  // rank 0 made it; this also makes a network file system look again
  if (rank == 0) {
    write_tensor_file(storage, directory, whole_tensors(kBackboneGroup, kBackboneName, snapshot.backbone), report);
    write_tensor_file(storage, directory, whole_tensors(kOptimizerGroup, kOptimizerName, snapshot.optimizer), report);
    storage::write_text(storage, directory / kConfigName, snapshot.config_yaml);
    report.files.push_back(
        {kConfigName, snapshot.config_yaml.size(), checksum(std::as_bytes(std::span(snapshot.config_yaml)))});
  }
  write_tensor_file(storage, directory, head_shard(snapshot.head, rank, world_size), report);

  Json json{{"files", Json::array()}, {"tensors", Json::array()}};
  for (const FileRecord& file : report.files) json["files"].push_back(to_json(file));
  for (const TensorRecord& tensor : report.tensors) json["tensors"].push_back(to_json(tensor));
  return json.dump();
}

void check_same_step(comm::Communicator& communicator, std::int64_t step) {
  const std::vector<std::int64_t> steps = communicator.all_gather_values(step);
  for (std::size_t rank = 1; rank < steps.size(); ++rank) {
    if (steps[rank] == steps[0]) continue;
    throw CollectiveError(
        Error(ErrorCode::internal, fmt::format("ranks save different steps (rank 0: {}, rank {}: {}). Save after the "
                                               "same step on every rank.",
                                               steps[0], rank, steps[rank])));
  }
}

/// Ranks on hosts with separate disks would each write a part of the checkpoint to a place of their own.
void check_visible(storage::Storage& storage, const std::filesystem::path& directory, const FileRecord& file,
                   std::size_t writer) {
  const std::filesystem::path path = directory / file.name;
  if (storage.exists(path) && storage.open_read(path)->size() == file.bytes) return;
  throw Error(ErrorCode::io,
              fmt::format("rank 0 does not see {} as rank {} wrote it (the ranks do not share this file system, or it "
                          "lost data). Set train.output to a directory that all hosts share.",
                          path.string(), writer));
}

/// Rank 0: what all ranks reported becomes the manifest, after which the directory may take its name.
void write_manifest(const Snapshot& snapshot, storage::Storage& storage, const std::filesystem::path& directory,
                    const std::vector<std::string>& reports) {
  Contents contents;
  contents.manifest = {directory,      snapshot.step,          snapshot.samples, static_cast<int>(reports.size()),
                       snapshot.facts, snapshot.tuned_choices, snapshot.metrics};
  for (std::size_t rank = 0; rank < reports.size(); ++rank) {
    const Json report = Json::parse(reports[rank]);
    for (const Json& file : report.at("files")) {
      contents.files.push_back(file_from_json(file));
      check_visible(storage, directory, contents.files.back(), rank);
    }
    for (const Json& tensor : report.at("tensors")) contents.tensors.push_back(tensor_from_json(tensor));
  }
  const std::string text = format_contents(contents);
  try {
    parse_contents(text, directory);  // shards that leave gaps are found now, not when someone needs the checkpoint
  } catch (const Error& error) {
    throw Error(ErrorCode::internal, fmt::format("the ranks' tensors make no whole ({}).", error.message()));
  }
  storage::write_text(storage, directory / kManifestName, text);
}

void remove_quietly(storage::Storage& storage, const std::filesystem::path& directory) {
  try {
    storage.remove_all(directory);
  } catch (const Error&) {
    // The error that led here matters more; a temporary directory is never read and prune removes it.
  }
}

}  // namespace

std::filesystem::path save(const Snapshot& snapshot, const storage::Location& root, comm::Communicator& communicator) {
  storage::Storage& storage = *root.storage;
  const int rank = communicator.rank();
  const std::filesystem::path directory = step_directory(root.path, snapshot.step);
  const std::filesystem::path temporary = temporary_of(directory);
  check_same_step(communicator, snapshot.step);
  try {
    comm::run_agreed(communicator, [&] {
      if (rank == 0) begin_directory(storage, directory);
    });
    std::string report;
    comm::run_agreed(communicator,
                     [&] { report = write_files(snapshot, storage, temporary, rank, communicator.size()); });
    const std::vector<std::string> reports = communicator.all_gather_text(report);
    comm::run_agreed(communicator, [&] {
      if (rank != 0) return;
      write_manifest(snapshot, storage, temporary, reports);
      commit_directory(storage, directory);
    });
  } catch (Error& error) {
    error.add_context(fmt::format("saving checkpoint {}", directory.string()));
    if (rank == 0) remove_quietly(storage, temporary);
    throw;
  }
  return directory;
}

}  // namespace plsc::checkpoint
