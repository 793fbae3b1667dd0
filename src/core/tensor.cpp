#include "plsc/core/tensor.h"

#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "plsc/core/error.h"

namespace plsc {

namespace {

class HeapMemory final : public MemorySource {
 public:
  MemoryBlock* acquire(std::size_t bytes) override {
    constexpr std::size_t kAlignment = 64;
    const std::size_t capacity = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    auto block = std::make_unique<MemoryBlock>();
    if (capacity > 0) {
      block->data = std::aligned_alloc(kAlignment, capacity);
      if (block->data == nullptr) throw std::bad_alloc();
    }
    block->bytes = bytes;
    block->capacity = capacity;
    block->source = this;
    block->references = 1;
    return block.release();
  }

  void release(MemoryBlock* block) noexcept override {
    std::free(block->data);
    delete block;
  }
};

std::size_t physical_elements(const Shape& shape, Layout layout, int block) {
  if (layout == Layout::plain) return static_cast<std::size_t>(shape.elements());
  const std::int64_t channels = (shape[1] + block - 1) / block * block;
  return static_cast<std::size_t>(shape[0] * channels * shape[2] * shape[3]);
}

/// Negative dimensions would wrap around in the unsigned arithmetic of sizes.
void check_shape(const Shape& shape) {
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] < 0) {
      throw Error(ErrorCode::internal, fmt::format("tensor of shape {} (a negative dimension).", shape.text()));
    }
  }
}

}  // namespace

MemorySource& heap_memory() {
  static HeapMemory memory;
  return memory;
}

Tensor::Tensor(MemorySource& source, Shape shape, DType dtype, Layout layout, int block)
    : shape_(shape), dtype_(dtype), layout_(layout), block_(layout == Layout::plain ? 1 : block) {
  check_shape(shape);
  if (layout == Layout::blocked && (shape.rank() != 4 || block < 1)) {
    throw Error(ErrorCode::internal,
                fmt::format("blocked tensor of shape {} with block {} (needs 4 dimensions and a block of at least 1).",
                            shape.text(), block));
  }
  block_memory_ = source.acquire(physical_elements(shape, layout, block_) * size_of(dtype));
  data_ = block_memory_->data;
}

Tensor::Tensor(const Tensor& other) noexcept
    : block_memory_(other.block_memory_),
      data_(other.data_),
      shape_(other.shape_),
      dtype_(other.dtype_),
      layout_(other.layout_),
      block_(other.block_) {
  if (block_memory_ != nullptr) block_memory_->references.fetch_add(1, std::memory_order_relaxed);
}

Tensor::Tensor(Tensor&& other) noexcept
    : block_memory_(std::exchange(other.block_memory_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      shape_(std::exchange(other.shape_, Shape())),
      dtype_(other.dtype_),
      layout_(other.layout_),
      block_(other.block_) {}

Tensor& Tensor::operator=(Tensor other) noexcept {
  std::swap(block_memory_, other.block_memory_);
  std::swap(data_, other.data_);
  std::swap(shape_, other.shape_);
  std::swap(dtype_, other.dtype_);
  std::swap(layout_, other.layout_);
  std::swap(block_, other.block_);
  return *this;
}

Tensor::~Tensor() { release(); }

void Tensor::release() noexcept {
  if (block_memory_ == nullptr) return;
  if (block_memory_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    block_memory_->source->release(block_memory_);
  }
  block_memory_ = nullptr;
}

MemoryKind Tensor::memory_kind() const { return block_memory_ == nullptr ? MemoryKind::host : block_memory_->kind; }

std::size_t Tensor::elements() const { return defined() ? physical_elements(shape_, layout_, block_) : 0; }

int Tensor::use_count() const { return block_memory_ == nullptr ? 0 : block_memory_->references.load(); }

Tensor Tensor::view(std::size_t offset, Shape shape) const {
  check_shape(shape);
  const auto wanted = static_cast<std::size_t>(shape.elements());
  if (offset > elements() || wanted > elements() - offset) {
    throw Error(ErrorCode::internal, fmt::format("view of {} at element {} leaves a tensor of {} elements.",
                                                 shape.text(), offset, elements()));
  }
  Tensor out(*this);
  out.data_ = static_cast<std::byte*>(data_) + offset * size_of(dtype_);
  out.shape_ = shape;
  out.layout_ = Layout::plain;
  out.block_ = 1;
  return out;
}

void Tensor::check_type(TypeCode code) const {
  const bool ok = [&] {
    switch (code) {
      case TypeCode::f32: return dtype_ == DType::f32;
      case TypeCode::f64: return dtype_ == DType::f64;
      case TypeCode::u16: return dtype_ == DType::bf16 || dtype_ == DType::f16;
      case TypeCode::u8: return dtype_ == DType::u8;
      case TypeCode::i32: return dtype_ == DType::i32;
      case TypeCode::i64: return dtype_ == DType::i64;
    }
    return false;
  }();
  if (!ok) {
    throw Error(ErrorCode::internal, fmt::format("tensor of type {} read as another type.", name_of(dtype_)));
  }
}

void Tensor::check_host() const {
  if (memory_kind() != MemoryKind::host) {
    throw Error(ErrorCode::internal, "host access to a tensor in device memory.");
  }
}

}  // namespace plsc
