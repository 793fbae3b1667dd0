#pragma once
// Which rows of its shard a rank compares a batch with (contract C6), and where a label's row stands among them.

#include <cstdint>
#include <span>

#include "plsc/core/tensor.h"
#include "plsc/head/class_store.h"

namespace plsc::head {

/// Slots [0, count) of a step. Slot s is row rows[s] of the shard, ascending; slots from count to rows.size() (the
/// fixed capacity) are unused and hold -1. No list at all: slot s is row s, without any cost of gathering.
struct RowSelection {
  std::int64_t count = 0;
  std::span<const std::int64_t> rows;

  bool identity() const { return rows.empty(); }
  std::int64_t row(std::int64_t slot) const { return identity() ? slot : rows[static_cast<std::size_t>(slot)]; }
};

class RowSelector {
 public:
  virtual ~RowSelector() = default;
  virtual std::int64_t capacity(const RowShard& shard) const = 0;  ///< most slots of a step
  /// features [N, D] gathered (normalised where the loss is), labels [N] global class ids, -1 not counted. Rows of
  /// labels that this rank owns are always among the selected. The list stays valid until the next call.
  virtual RowSelection select(std::int64_t step, const Tensor& features, std::span<const std::int64_t> labels,
                              ClassStore& store) = 0;
};

/// Full softmax.
class AllRows final : public RowSelector {
 public:
  std::int64_t capacity(const RowShard& shard) const override { return shard.size; }
  RowSelection select(std::int64_t step, const Tensor& features, std::span<const std::int64_t> labels,
                      ClassStore& store) override;
};

/// Labels to slots in a plain head, where rows are classes (contract C2).
class RowMap {
 public:
  RowMap(const RowShard& shard, const RowSelection& selection) : shard_(shard), selection_(selection) {}
  /// Slot of the class, or -1: of another rank.
  std::int64_t slot(std::int64_t label) const;

 private:
  RowShard shard_;
  RowSelection selection_;
};

}  // namespace plsc::head
