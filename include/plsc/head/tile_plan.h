#pragma once
// How a step walks the selected rows, and how many of their logits are kept from the first pass to the second.

#include <cstdint>
#include <vector>

#include "plsc/head/row_selector.h"

namespace plsc::head {

/// Slots [first_slot, first_slot + size) that are rows [first_row, first_row + size) of the shard.
struct TileRun {
  std::int64_t first_slot = 0;
  std::int64_t first_row = 0;
  std::int64_t size = 0;
};

/// Cuts a selection into runs of neighbouring rows, at most `tile` each. `runs` is reused.
void plan_tiles(const RowSelection& selection, std::int64_t tile, std::vector<TileRun>& runs);

/// Slots whose logits [slots, samples] fit the workspace; 0 bytes stands for 256 MiB.
std::int64_t kept_slots(std::int64_t workspace_bytes, std::int64_t samples, std::int64_t capacity);

}  // namespace plsc::head
