#include "plsc/head/tile_plan.h"

#include <algorithm>

namespace plsc::head {

void plan_tiles(const RowSelection& selection, std::int64_t tile, std::vector<TileRun>& runs) {
  runs.clear();
  for (std::int64_t slot = 0; slot < selection.count;) {
    TileRun run{slot, selection.row(slot), 1};
    while (run.size < tile && slot + run.size < selection.count &&
           selection.row(slot + run.size) == run.first_row + run.size) {
      ++run.size;
    }
    runs.push_back(run);
    slot += run.size;
  }
}

std::int64_t kept_slots(std::int64_t workspace_bytes, std::int64_t samples, std::int64_t capacity) {
  constexpr std::int64_t kDefaultBytes = std::int64_t{256} << 20;
  const std::int64_t bytes = workspace_bytes > 0 ? workspace_bytes : kDefaultBytes;
  return std::min(capacity, bytes / (static_cast<std::int64_t>(sizeof(float)) * samples));
}

}  // namespace plsc::head
