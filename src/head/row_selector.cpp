#include "plsc/head/row_selector.h"

#include <algorithm>

namespace plsc::head {

RowSelection AllRows::select(std::int64_t, const Tensor&, std::span<const std::int64_t>, ClassStore& store) {
  return {store.shard().size, {}};
}

std::int64_t RowMap::slot(std::int64_t label) const {
  const std::int64_t row = label - shard_.begin;
  if (label < 0 || row < 0 || row >= shard_.size) return -1;
  if (selection_.identity()) return row;
  const auto used = selection_.rows.first(static_cast<std::size_t>(selection_.count));
  const auto found = std::lower_bound(used.begin(), used.end(), row);
  return found != used.end() && *found == row ? found - used.begin() : -1;
}

}  // namespace plsc::head
