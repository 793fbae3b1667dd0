#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "checkpoint/checksum.h"
#include "checkpoint/manifest.h"
#include "plsc/checkpoint/checkpoint.h"
#include "plsc/checkpoint/safetensors.h"
#include "plsc/comm/agreement.h"
#include "plsc/core/error.h"

namespace plsc::checkpoint {

namespace {

/// A caller's tensor to fill with rows [begin, end) of `total`.
struct Target {
  std::string group;
  std::string name;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t total = 0;
  Tensor tensor;

  /// The whole tensor's shape, which must be that in the checkpoint.
  Shape whole_shape() const {
    Shape shape = tensor.shape();
    if (shape.rank() > 0) shape[0] = total;
    return shape;
  }
};

using Key = std::pair<std::string, std::string>;  // group, name

[[noreturn]] void damaged(const std::filesystem::path& file, const std::string& why) {
  throw Error(ErrorCode::checkpoint, fmt::format("{} is damaged ({}). Use another checkpoint.", file.string(), why));
}

// ---- what the caller wants against what there is ----

void check_memory(const Target& target) {
  const Tensor& tensor = target.tensor;
  if (tensor.defined() && tensor.memory_kind() == MemoryKind::host && tensor.layout() == Layout::plain &&
      0 <= target.begin && target.begin <= target.end && target.end <= target.total) {
    return;
  }
  throw Error(
      ErrorCode::internal,
      fmt::format("tensor '{}' cannot be loaded (it needs plain host memory and rows within its total).", target.name));
}

std::vector<Target> whole_targets(const std::string& group, const std::vector<NamedTensor>& tensors) {
  std::vector<Target> targets;
  for (const NamedTensor& named : tensors) {
    const std::int64_t rows = rows_of(named.tensor.shape());
    targets.push_back({group, named.name, 0, rows, rows, named.tensor});
    check_memory(targets.back());
  }
  return targets;
}

std::vector<Target> head_targets(const std::vector<ShardedTensor>& tensors) {
  std::vector<Target> targets;
  for (const ShardedTensor& part : tensors) {
    const std::int64_t end = part.begin + rows_of(part.tensor.shape());
    targets.push_back({kHeadGroup, part.name, part.begin, end, part.total, part.tensor});
    check_memory(targets.back());
  }
  return targets;
}

/// "2 missing in the checkpoint (a, b)"; the first few are named.
void describe_some(std::string& text, const char* what, const std::vector<std::string>& names) {
  constexpr std::size_t kNamed = 4;
  if (names.empty()) return;
  text += fmt::format("{}{} {} (", text.empty() ? "" : "; ", names.size(), what);
  for (std::size_t i = 0; i < std::min(kNamed, names.size()); ++i) text += (i == 0 ? "" : ", ") + names[i];
  text += names.size() > kNamed ? ", ...)" : ")";
}

/// Every target must be in the checkpoint with type and shape; with `groups`, nothing else may be in those groups.
void check_fit(const Contents& contents, const std::vector<Target>& targets, const std::vector<std::string>& groups) {
  std::map<Key, const TensorRecord*> stored;
  for (const TensorRecord& record : contents.tensors) stored[{record.group, record.name}] = &record;
  std::vector<std::string> missing;
  std::vector<std::string> different;
  std::map<Key, const TensorRecord*> surplus = stored;
  std::set<Key> named;
  for (const Target& target : targets) {
    const std::string name = target.group == kHeadGroup ? "head " + target.name : target.name;
    if (!named.emplace(target.group, target.name).second) {
      throw Error(ErrorCode::internal, fmt::format("two tensors to load are named '{}'.", name));
    }
    surplus.erase({target.group, target.name});
    const auto found = stored.find({target.group, target.name});
    if (found == stored.end()) {
      missing.push_back(name);
      continue;
    }
    Shape shape = found->second->shape;
    if (shape.rank() > 0) shape[0] = found->second->total;
    if (shape != target.whole_shape() || found->second->dtype != target.tensor.dtype()) {
      different.push_back(fmt::format("{}: {} {} in the checkpoint, {} {} here", name, name_of(found->second->dtype),
                                      shape.text(), name_of(target.tensor.dtype()), target.whole_shape().text()));
    }
  }
  std::vector<std::string> unused;
  for (const auto& [key, record] : surplus) {
    if (std::find(groups.begin(), groups.end(), key.first) == groups.end()) continue;
    unused.push_back(key.first == kHeadGroup ? "head " + key.second : key.second);
  }
  std::string text;
  describe_some(text, "missing in the checkpoint", missing);
  describe_some(text, "of another type or shape", different);
  describe_some(text, "only in the checkpoint", unused);
  if (text.empty()) return;
  throw Error(
      ErrorCode::checkpoint,
      fmt::format("checkpoint {} does not fit this run: tensors {}. Use the network, embedding size, classes and "
                  "optimizer it was made with; train.init_from takes its backbone into a run with other "
                  "classes.",
                  contents.manifest.directory.string(), text));
}

// ---- reading ----

/// One open file of tensors, its header checked against the manifest.
class TensorSource {
 public:
  TensorSource(const storage::Location& directory, const FileRecord& file) : path_(directory.path / file.name) {
    if (!directory.storage->exists(path_)) damaged(path_, "it is missing");
    reader_ = directory.storage->open_read(path_);
    if (reader_->size() != file.bytes) {
      damaged(path_, fmt::format("it has {} bytes, {} were written", reader_->size(), file.bytes));
    }
    for (TensorInfo& info : read_safetensors_header(*reader_, path_.string())) {
      std::string name = info.name;
      tensors_.emplace(std::move(name), std::move(info));
    }
  }

  const std::filesystem::path& path() const { return path_; }

  /// Copies the rows of `record` that `target` wants, reading whole checksum blocks and no more.
  void read_rows(const TensorRecord& record, const Target& target) const {
    const auto info = tensors_.find(record.name);
    if (info == tensors_.end() || info->second.dtype != record.dtype || info->second.shape != record.shape) {
      damaged(path_, fmt::format("tensor '{}' is not in it as the manifest says", record.name));
    }
    const std::int64_t begin = std::max(record.begin, target.begin) - record.begin;
    const std::int64_t end = std::min(record.end, target.end) - record.begin;
    const std::uint64_t row_bytes = record.row_bytes();
    for (std::int64_t row = begin; row < end;) {
      const std::int64_t block = row / record.block_rows;
      const std::int64_t block_begin = block * record.block_rows;
      const std::int64_t block_end = block_begin + std::min(record.block_rows, record.rows() - block_begin);
      const std::int64_t stop = std::min(end, block_end);
      auto* out = static_cast<std::byte*>(target.tensor.raw()) +
                  static_cast<std::uint64_t>(record.begin + row - target.begin) * row_bytes;
      const std::uint64_t offset = info->second.offset + static_cast<std::uint64_t>(block_begin) * row_bytes;
      const auto block_bytes =
          static_cast<std::size_t>(static_cast<std::uint64_t>(block_end - block_begin) * row_bytes);
      if (row == block_begin && stop == block_end) {  // whole block wanted: straight to its place
        read_block(record, block, offset, {out, block_bytes});
      } else {
        std::vector<std::byte> whole(block_bytes);
        read_block(record, block, offset, whole);
        const auto from =
            whole.begin() + static_cast<std::ptrdiff_t>(static_cast<std::uint64_t>(row - block_begin) * row_bytes);
        std::copy_n(from, static_cast<std::uint64_t>(stop - row) * row_bytes, out);
      }
      row = stop;
    }
  }

 private:
  void read_block(const TensorRecord& record, std::int64_t block, std::uint64_t offset,
                  std::span<std::byte> out) const {
    reader_->read(offset, out);
    const std::uint64_t expected = record.checksums[static_cast<std::size_t>(block)];
    const std::uint64_t found = checksum(out);
    if (found == expected) return;
    const std::int64_t first = record.begin + block * record.block_rows;
    damaged(path_, fmt::format("tensor '{}', rows {} to {}: checksum {} instead of {}", record.name, first,
                               first + std::min(record.block_rows, record.end - first), checksum_text(found),
                               checksum_text(expected)));
  }

  std::filesystem::path path_;
  std::unique_ptr<storage::Reader> reader_;
  std::map<std::string, TensorInfo> tensors_;
};

/// Fills the targets. Parts of one file stand together in the manifest, so one file at a time is open.
void read_targets(const storage::Location& directory, const Contents& contents, const std::vector<Target>& targets) {
  std::map<Key, const Target*> wanted;
  for (const Target& target : targets) wanted[{target.group, target.name}] = &target;
  std::map<std::string, const FileRecord*> files;
  for (const FileRecord& file : contents.files) files[file.name] = &file;
  std::unique_ptr<TensorSource> source;
  for (const TensorRecord& record : contents.tensors) {
    const auto target = wanted.find({record.group, record.name});
    if (target == wanted.end()) continue;
    if (std::max(record.begin, target->second->begin) >= std::min(record.end, target->second->end)) continue;
    const std::filesystem::path path = directory.path / record.file;
    if (!source || source->path() != path) {
      source = std::make_unique<TensorSource>(directory, *files.at(record.file));
    }
    source->read_rows(record, *target->second);
  }
}

}  // namespace

Manifest load(const storage::Location& directory, Snapshot& snapshot, comm::Communicator& communicator,
              Surplus surplus) {
  const auto activity = [&] { return fmt::format("loading checkpoint {}", directory.path.string()); };
  const bool reads_common = communicator.rank() == 0;
  std::string text;
  Contents contents;
  with_context(activity, [&] {
    comm::run_agreed(communicator, [&] {
      if (reads_common) text = read_manifest_text(directory);
    });
    text = communicator.broadcast_text(text, 0);
    comm::run_agreed(communicator, [&] {
      contents = parse_contents(text, directory.path);
      const std::vector<Target> head = head_targets(snapshot.head);
      std::vector<Target> all = whole_targets(kBackboneGroup, snapshot.backbone);
      std::ranges::copy(whole_targets(kOptimizerGroup, snapshot.optimizer), std::back_inserter(all));
      std::ranges::copy(head, std::back_inserter(all));
      const std::vector<std::string> groups{kBackboneGroup, kOptimizerGroup, kHeadGroup};
      check_fit(contents, all, surplus == Surplus::refuse ? groups : std::vector<std::string>());
      read_targets(directory, contents, reads_common ? all : head);
    });
  });
  for (const std::vector<NamedTensor>* group : {&snapshot.backbone, &snapshot.optimizer}) {
    for (const NamedTensor& named : *group) {
      communicator.broadcast({static_cast<std::byte*>(named.tensor.raw()), named.tensor.bytes()}, 0);
    }
  }
  return contents.manifest;
}

void load_backbone(const storage::Location& directory, std::vector<NamedTensor>& backbone) {
  const Contents contents = read_contents(directory);
  const std::vector<Target> targets = whole_targets(kBackboneGroup, backbone);
  check_fit(contents, targets, {kBackboneGroup});
  read_targets(directory, contents, targets);
}

}  // namespace plsc::checkpoint
