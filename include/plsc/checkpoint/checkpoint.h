#pragma once
// Checkpoints (contract C8): a directory OUTPUT/checkpoints/step_00001000 exists when its manifest.json does. Tensors
// are safetensors files; checksums are per row block, so that another world size reads only the ranges it needs.
// Format and rules: docs/checkpoint_format.md. All ranks must see one file system. A location is a path or a URL.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "plsc/comm/communicator.h"
#include "plsc/core/tensor.h"
#include "plsc/storage/storage.h"

namespace plsc::checkpoint {

/// A tensor every rank has alike (backbone, its optimiser state); rank 0 writes it. Host memory on save and load.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// A tensor whose rows are divided among the ranks; this rank holds rows [begin, begin + tensor.shape()[0]) of `total`.
struct ShardedTensor {
  std::string name;
  std::int64_t begin = 0;
  std::int64_t total = 0;
  Tensor tensor;  ///< [rows, ...], host memory; rows may be 0
};

/// Everything a run needs to continue, by reference to memory the caller owns.
struct Snapshot {
  std::int64_t step = 0;                     ///< steps done
  std::int64_t samples = 0;                  ///< stream position: step * global_batch
  std::vector<NamedTensor> backbone;         ///< arcface_torch's names, OIHW
  std::vector<NamedTensor> optimizer;        ///< "<parameter>.momentum"
  std::vector<ShardedTensor> head;           ///< "weight", "weight.momentum", ...
  std::map<std::string, std::string> facts;  ///< what must match or is useful: network, embedding, classes, seed, ...
  std::map<std::string, std::string> tuned_choices;
  std::map<std::string, double> metrics;  ///< newest evaluation
  std::string config_yaml;                ///< the resolved configuration
};

struct Manifest {
  std::filesystem::path directory;
  std::int64_t step = 0;
  std::int64_t samples = 0;
  int world_size = 0;
  std::map<std::string, std::string> facts;
  std::map<std::string, std::string> tuned_choices;
  std::map<std::string, double> metrics;
};

/// Writes root/step_N atomically (step_N.tmp, fsync, manifest last, rename); a complete step_N that is there is
/// replaced. Collective: all ranks succeed or all throw the same error, which names the rank, and find_latest still
/// finds what it found before. Only when the last sync of `root` fails may the new checkpoint, complete, be there all
/// the same.
std::filesystem::path save(const Snapshot& snapshot, const storage::Location& root, comm::Communicator& communicator);

/// Newest complete checkpoint under root (or root itself when it holds a manifest); none: nullopt. Paths are in root's
/// store.
std::optional<std::filesystem::path> find_latest(const storage::Location& root);

/// Reads and checks a manifest; Error{checkpoint} names the file.
Manifest read_manifest(const storage::Location& directory);

/// The resolved configuration of the run that wrote the checkpoint.
std::string read_config(const storage::Location& directory);

/// Error{checkpoint} that lists every key of `expected` whose value in the checkpoint is another one or missing.
void require_match(const Manifest& manifest, const std::map<std::string, std::string>& expected);

/// What to do with tensors in the checkpoint that the caller does not name.
enum class Surplus {
  refuse,  ///< an error: a run that continues needs everything
  ignore,  ///< leave them unread: evaluation needs no optimizer state
};

/// Fills the tensors of `backbone`, `optimizer` and `head` in `snapshot` (names, shapes and row ranges given by the
/// caller) from a checkpoint written by any number of ranks; the other fields stay as they are. Missing or surplus
/// names, shapes that differ and wrong checksums are Error{checkpoint}, the same on all ranks; the tensors' contents
/// are then undefined. Rank 0 reads what all ranks have alike; each rank reads only the checksum blocks of its rows.
/// Collective.
Manifest load(const storage::Location& directory, Snapshot& snapshot, comm::Communicator& communicator,
              Surplus surplus = Surplus::refuse);

/// Backbone only, for fine-tuning and evaluation. Not collective.
void load_backbone(const storage::Location& directory, std::vector<NamedTensor>& backbone);

/// Removes the oldest complete checkpoints beyond `keep` (0 = all stay) except `protect`, and what crashed or replaced
/// saves left behind. Rank 0 only, while no save runs.
void prune(const storage::Location& root, int keep, const std::optional<std::filesystem::path>& protect);

}  // namespace plsc::checkpoint
