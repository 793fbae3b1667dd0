#include "plsc/head/class_store.h"

#include <algorithm>
#include <span>
#include <thread>

#include "plsc/core/random.h"

namespace plsc::head {

namespace {

/// values [count, columns]: rows of classes first_class and up, Normal(0, deviation).
void draw_rows(std::span<float> values, std::int64_t columns, std::int64_t first_class,
               const ClassStoreOptions& options) {
  const std::int64_t count = static_cast<std::int64_t>(values.size()) / columns;
  for (std::int64_t row = 0; row < count; ++row) {
    CounterRng rng(options.seed, RandomPurpose::class_rows, static_cast<std::uint64_t>(first_class + row));
    for (std::int64_t column = 0; column < columns; ++column) {
      values[static_cast<std::size_t>(row * columns + column)] = options.init_std * static_cast<float>(rng.normal());
    }
  }
}

class DeviceClassStore final : public ClassStore {
 public:
  DeviceClassStore(const ClassStoreOptions& options, const RowShard& shard, backend::Backend& backend)
      : shard_(shard), columns_(options.embedding) {
    const auto zeros = [&](Shape shape) {
      Tensor tensor = backend.tensor(shape);
      backend.fill(tensor, 0.0F);
      return tensor;
    };
    weight_ = backend.tensor({shard.size, columns_});
    if (options.momentum) weight_momentum_ = zeros({shard.size, columns_});
    if (options.bias) bias_ = zeros({shard.size, 1});
    if (options.bias && options.momentum) bias_momentum_ = zeros({shard.size, 1});
    draw(options, backend);
  }

  const RowShard& shard() const override { return shard_; }

  backend::ClassRows rows(std::int64_t first, std::int64_t count) override {
    const auto part = [&](const Tensor& tensor, std::int64_t columns, Shape shape) {
      return tensor.defined() ? tensor.view(static_cast<std::size_t>(first * columns), shape) : Tensor();
    };
    return {part(weight_, columns_, {count, columns_}),
            part(weight_momentum_, columns_, {count, columns_}),
            part(bias_, 1, {count}),
            part(bias_momentum_, 1, {count}),
            first,
            count};
  }

  std::vector<RowState> state() override {
    std::vector<RowState> out{{"weight", weight_}};
    if (bias_.defined()) out.push_back({"bias", bias_});
    if (weight_momentum_.defined()) out.push_back({"weight.momentum", weight_momentum_});
    if (bias_momentum_.defined()) out.push_back({"bias.momentum", bias_momentum_});
    return out;
  }

 private:
  /// Block by block through host memory, each block's rows by several threads.
  void draw(const ClassStoreOptions& options, backend::Backend& backend) {
    constexpr std::int64_t kBlockRows = 8192;
    std::vector<float> block(static_cast<std::size_t>(std::min(kBlockRows, shard_.size) * columns_));
    for (std::int64_t first = 0; first < shard_.size; first += kBlockRows) {
      const std::int64_t count = std::min(kBlockRows, shard_.size - first);
      const std::int64_t share = (count + backend.threads() - 1) / backend.threads();
      std::vector<std::jthread> team;
      for (std::int64_t begin = 0; begin < count; begin += share) {
        const std::int64_t size = std::min(share, count - begin);
        const auto values = std::span(block).subspan(static_cast<std::size_t>(begin * columns_),
                                                     static_cast<std::size_t>(size * columns_));
        team.emplace_back([=, this, &options] { draw_rows(values, columns_, shard_.begin + first + begin, options); });
      }
      team.clear();
      const auto values = std::span(block).first(static_cast<std::size_t>(count * columns_));
      backend.copy_from_host(std::as_bytes(values),
                             weight_.view(static_cast<std::size_t>(first * columns_), {count, columns_}));
    }
  }

  RowShard shard_;
  std::int64_t columns_;
  Tensor weight_;
  Tensor weight_momentum_;
  Tensor bias_;
  Tensor bias_momentum_;
};

}  // namespace

std::unique_ptr<ClassStore> make_device_class_store(const ClassStoreOptions& options, const RowShard& shard,
                                                    backend::Backend& backend) {
  return std::make_unique<DeviceClassStore>(options, shard, backend);
}

}  // namespace plsc::head
