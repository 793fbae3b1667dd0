#include "plsc/core/tensor.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <utility>

#include "plsc/core/error.h"

namespace plsc {

namespace {

/// Counts the blocks that are out.
class CountingMemory final : public MemorySource {
 public:
  explicit CountingMemory(MemoryKind kind = MemoryKind::host) : kind_(kind) {}
  MemoryBlock* acquire(std::size_t bytes) override {
    ++live;
    auto block = std::make_unique<MemoryBlock>();
    block->data = storage_;
    block->bytes = bytes;
    block->kind = kind_;
    block->source = this;
    block->references = 1;
    return block.release();
  }
  void release(MemoryBlock* block) noexcept override {
    --live;
    delete block;
  }

  int live = 0;

 private:
  MemoryKind kind_;
  alignas(64) std::byte storage_[4096] = {};
};

}  // namespace

TEST_CASE("a tensor from the heap is aligned, shaped and writable", "[tensor]") {
  const Tensor tensor(heap_memory(), Shape{3, 5}, DType::f32);

  tensor.data<float>()[14] = 2.5F;

  CHECK(tensor.defined());
  CHECK(tensor.shape() == Shape{3, 5});
  CHECK(tensor.elements() == 15);
  CHECK(tensor.bytes() == 60);
  CHECK(tensor.memory_kind() == MemoryKind::host);
  CHECK(reinterpret_cast<std::uintptr_t>(tensor.raw()) % 64 == 0);
  CHECK(tensor.host_span<float>()[14] == 2.5F);
}

TEST_CASE("a tensor that was not made is empty", "[tensor]") {
  const Tensor tensor;

  CHECK_FALSE(tensor.defined());
  CHECK(tensor.elements() == 0);
  CHECK(tensor.use_count() == 0);
  CHECK(tensor.raw() == nullptr);
}

TEST_CASE("an empty shape gives a tensor without elements", "[tensor]") {
  const Tensor tensor(heap_memory(), Shape{0, 7}, DType::i64);

  CHECK(tensor.defined());
  CHECK(tensor.elements() == 0);
  CHECK(tensor.host_span<std::int64_t>().empty());
}

TEST_CASE("copies share memory, which goes with the last handle", "[tensor]") {
  CountingMemory memory;
  {
    Tensor first(memory, Shape{4}, DType::f32);
    const Tensor second = first;
    first.data<float>()[2] = 7;

    CHECK(second.data<float>()[2] == 7);
    CHECK(first.use_count() == 2);

    first = Tensor(memory, Shape{8}, DType::f32);
    CHECK(second.use_count() == 1);
    CHECK(memory.live == 2);
  }
  CHECK(memory.live == 0);
}

TEST_CASE("a moved tensor leaves an empty one behind", "[tensor]") {
  CountingMemory memory;
  Tensor from(memory, Shape{4}, DType::u8);

  const Tensor to = std::move(from);

  CHECK(to.use_count() == 1);
  CHECK_FALSE(from.defined());  // NOLINT(bugprone-use-after-move): what is left is part of the contract
  CHECK(from.elements() == 0);
  CHECK(memory.live == 1);
}

TEST_CASE("assigning a tensor to itself keeps it", "[tensor]") {
  CountingMemory memory;
  Tensor tensor(memory, Shape{4}, DType::f32);
  const Tensor& same = tensor;

  tensor = same;

  CHECK(tensor.use_count() == 1);
  CHECK(memory.live == 1);
}

TEST_CASE("blocked tensors count padded channels", "[tensor]") {
  const Tensor padded(heap_memory(), Shape{2, 3, 4, 5}, DType::f32, Layout::blocked, 16);
  const Tensor plain(heap_memory(), Shape{2, 3, 4, 5}, DType::f32, Layout::plain, 16);

  CHECK(padded.elements() == 2 * 16 * 4 * 5);
  CHECK(padded.block() == 16);
  CHECK(padded.shape() == Shape{2, 3, 4, 5});
  CHECK(plain.elements() == 2 * 3 * 4 * 5);
  CHECK(plain.block() == 1);
}

TEST_CASE("a view shares memory from an offset on", "[tensor]") {
  const Tensor tensor(heap_memory(), Shape{4, 6}, DType::i32);
  for (int i = 0; i < 24; ++i) tensor.data<std::int32_t>()[i] = i;

  const Tensor view = tensor.view(6, Shape{2, 6});

  CHECK(view.shape() == Shape{2, 6});
  CHECK(view.data<std::int32_t>()[0] == 6);
  CHECK(view.host_span<std::int32_t>().back() == 17);
  CHECK(tensor.use_count() == 2);
  CHECK(tensor.view(24, Shape{0}).elements() == 0);
}

TEST_CASE("a view beyond its tensor is refused", "[tensor]") {
  const Tensor tensor(heap_memory(), Shape{4, 6}, DType::f32);

  CHECK_THROWS_WITH(tensor.view(13, Shape{2, 6}), Catch::Contains("[2, 6]") && Catch::Contains("24 elements"));
  CHECK_THROWS_WITH(tensor.view(30, Shape{0}), Catch::Contains("leaves a tensor"));
  CHECK_THROWS_WITH(tensor.view(1, Shape{-1}), Catch::Contains("[-1]") && Catch::Contains("negative"));
  CHECK_THROWS_AS(Tensor().view(0, Shape{1}), Error);
}

TEST_CASE("data of another type is refused", "[tensor]") {
  const Tensor floats(heap_memory(), Shape{4}, DType::f32);
  const Tensor halves(heap_memory(), Shape{4}, DType::bf16);

  CHECK_THROWS_WITH(floats.data<double>(), Catch::Contains("f32"));
  CHECK_THROWS_AS(floats.data<std::int32_t>(), Error);
  CHECK_THROWS_AS(halves.data<float>(), Error);
  CHECK_NOTHROW(halves.data<std::uint16_t>());
}

TEST_CASE("device memory has pointers and no host view", "[tensor]") {
  CountingMemory memory(MemoryKind::device);
  const Tensor tensor(memory, Shape{4}, DType::f32);

  CHECK(tensor.memory_kind() == MemoryKind::device);
  CHECK_NOTHROW(tensor.data<float>());
  CHECK_THROWS_WITH(tensor.host_span<float>(), Catch::Contains("device memory"));
}

TEST_CASE("impossible shapes are refused", "[tensor]") {
  const auto make = [](Shape shape, Layout layout, int block) {
    return Tensor(heap_memory(), shape, DType::f32, layout, block);
  };

  CHECK_THROWS_WITH(make(Shape{4, 6}, Layout::blocked, 8),
                    Catch::Contains("[4, 6]") && Catch::Contains("4 dimensions"));
  CHECK_THROWS_WITH(make(Shape{4, -6}, Layout::plain, 1), Catch::Contains("[4, -6]") && Catch::Contains("negative"));
  CHECK_THROWS_WITH(make(Shape{1, 1, 1, 1}, Layout::blocked, 0), Catch::Contains("block"));
}

}  // namespace plsc
