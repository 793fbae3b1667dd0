#pragma once
// shard_rows: the only code that divides rows among ranks (contract C2).

#include <cstdint>

namespace plsc::head {

/// Rows [begin, begin + size) of `total` live on this rank.
struct RowShard {
  std::int64_t begin = 0;
  std::int64_t size = 0;
  std::int64_t total = 0;
};

/// Contiguous parts; the first total % world_size ranks hold one row more. size may be 0.
RowShard shard_rows(std::int64_t total, int rank, int world_size);

}  // namespace plsc::head
