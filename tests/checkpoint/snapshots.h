#pragma once
// Small snapshots whose every value is a function of (tensor, global row, column, step), whatever the ranks hold.

#include <catch2/catch.hpp>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "plsc/checkpoint/checkpoint.h"
#include "plsc/core/error.h"
#include "plsc/core/random.h"

namespace plsc::checkpoint {

/// Rows that each rank holds.
using Split = std::vector<std::int64_t>;

inline std::int64_t rows_before(const Split& split, int rank) {
  return std::accumulate(split.begin(), split.begin() + rank, std::int64_t{0});
}

inline std::int64_t total_rows(const Split& split) { return rows_before(split, static_cast<int>(split.size())); }

/// Fills with bytes that depend on name, place and step; `first` is the global index of the first element.
inline void fill(Tensor& tensor, const std::string& name, std::uint64_t first, std::int64_t step) {
  const std::uint64_t key = std::hash<std::string>()(name) ^ mix64(static_cast<std::uint64_t>(step));
  const std::size_t size = size_of(tensor.dtype());
  auto* bytes = static_cast<std::byte*>(tensor.raw());
  for (std::size_t i = 0; i < tensor.elements(); ++i) {
    const std::uint64_t value = mix64(key + first + i);
    std::memcpy(bytes + i * size, &value, size);
  }
}

inline NamedTensor whole_tensor(const std::string& name, Shape shape, DType dtype, std::int64_t step) {
  NamedTensor named{name, Tensor(heap_memory(), shape, dtype)};
  fill(named.tensor, name, 0, step);
  return named;
}

inline ShardedTensor shard(const std::string& name, const Split& split, int rank, std::int64_t columns,
                           std::int64_t step) {
  const Shape shape{split[static_cast<std::size_t>(rank)], columns};
  ShardedTensor part{name, rows_before(split, rank), total_rows(split), Tensor(heap_memory(), shape, DType::f32)};
  fill(part.tensor, name, static_cast<std::uint64_t>(part.begin * columns), step);
  return part;
}

inline Snapshot make_snapshot(std::int64_t step, const Split& split, int rank) {
  Snapshot snapshot;
  snapshot.step = step;
  snapshot.samples = step * 96;
  snapshot.backbone = {whole_tensor("conv1.weight", {4, 3, 3, 3}, DType::f32, step),
                       whole_tensor("bn1.weight", {4}, DType::f32, step),
                       whole_tensor("bn1.num_batches_tracked", {}, DType::i64, step),
                       whole_tensor("layer1.0.half", {3}, DType::bf16, step)};
  snapshot.optimizer = {whole_tensor("conv1.weight.momentum", {4, 3, 3, 3}, DType::f32, step)};
  snapshot.head = {shard("weight", split, rank, 5, step), shard("weight.momentum", split, rank, 5, step),
                   shard("bias", split, rank, 1, step)};
  snapshot.facts = {{"network", "iresnet18"}, {"embedding", "512"}, {"num_classes", std::to_string(total_rows(split))}};
  snapshot.tuned_choices = {{"threads", "2"}};
  snapshot.metrics = {{"lfw/accuracy", 0.1 + 0.2}, {"loss", static_cast<double>(step)}};
  snapshot.config_yaml = "train:\n  seed: 7\n";
  return snapshot;
}

inline bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

/// All tensors equal, bit for bit.
inline bool same(const Snapshot& a, const Snapshot& b) {
  const auto equal = [](const auto& x, const auto& y) { return x.name == y.name && same(x.tensor, y.tensor); };
  return std::equal(a.backbone.begin(), a.backbone.end(), b.backbone.begin(), b.backbone.end(), equal) &&
         std::equal(a.optimizer.begin(), a.optimizer.end(), b.optimizer.begin(), b.optimizer.end(), equal) &&
         std::equal(a.head.begin(), a.head.end(), b.head.begin(), b.head.end(), equal);
}

/// Text of the error that `action` throws; its code must be `code`.
template <class Action>
std::string error_text(ErrorCode code, Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  return "no error was thrown";
}

}  // namespace plsc::checkpoint
