#include "plsc/head/row_shard.h"

#include <algorithm>

namespace plsc::head {

RowShard shard_rows(std::int64_t total, int rank, int world_size) {
  const std::int64_t base = total / world_size;
  const std::int64_t remainder = total % world_size;
  return {base * rank + std::min<std::int64_t>(rank, remainder), base + (rank < remainder ? 1 : 0), total};
}

}  // namespace plsc::head
