#pragma once
// ClassStore: where this rank's class rows and their optimiser state live (contract C6).

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plsc/backend/backend.h"
#include "plsc/head/row_shard.h"

namespace plsc::head {

/// Named row state of this rank for checkpoints: `tensor` is [shard.size, columns] f32 in backend memory.
struct RowState {
  std::string name;  ///< "weight", "bias", "weight.momentum", "bias.momentum"
  Tensor tensor;
};

class ClassStore {
 public:
  virtual ~ClassStore() = default;

  virtual const RowShard& shard() const = 0;
  /// Rows [first, first + count) of the shard with their state, to be read or updated in place by tile kernels.
  virtual backend::ClassRows rows(std::int64_t first, std::int64_t count) = 0;
  virtual std::vector<RowState> state() = 0;
};

struct ClassStoreOptions {
  std::int64_t embedding = 0;
  std::uint64_t seed = 0;
  float init_std = 0.01F;
  bool bias = false;     ///< begins at 0
  bool momentum = true;  ///< keep momentum, beginning at 0
};

/// Rows in the backend's memory. Row of class c is Normal(0, init_std) from (seed, c), so it does not depend on the
/// number of ranks.
std::unique_ptr<ClassStore> make_device_class_store(const ClassStoreOptions& options, const RowShard& shard,
                                                    backend::Backend& backend);

}  // namespace plsc::head
