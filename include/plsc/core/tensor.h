#pragma once
// Tensor: a typed, shaped handle on reference-counted memory. Copying a Tensor copies the handle, never the data, and
// allocates nothing. Memory comes from a MemorySource (a backend's pool, or the host heap).

#include <atomic>
#include <cstddef>
#include <span>
#include <type_traits>

#include "plsc/core/shape.h"

namespace plsc {

enum class MemoryKind : std::uint8_t { host, device };

/// How the elements lie in memory.
enum class Layout : std::uint8_t {
  plain,    ///< row-major in the logical order
  blocked,  ///< [N, C, H, W] stored as [N, ceil(C/b), H, W, b], b = Tensor::block(); padded channels are always zero
};

struct MemoryBlock;

/// Hands out and takes back memory blocks. Must outlive every block it made. Thread-safe.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  virtual MemoryBlock* acquire(std::size_t bytes) = 0;  ///< references == 1; 64-byte aligned; contents undefined
  virtual void release(MemoryBlock* block) noexcept = 0;
};

struct MemoryBlock {
  void* data = nullptr;
  std::size_t bytes = 0;     ///< usable size
  std::size_t capacity = 0;  ///< what the source really holds; for the source's own use
  MemoryKind kind = MemoryKind::host;
  MemorySource* source = nullptr;
  std::atomic<int> references{0};
  MemoryBlock* next = nullptr;  ///< free list of the source
};

/// The plain host heap (aligned), for tests, tools and anything outside the step.
MemorySource& heap_memory();

class Tensor {
 public:
  Tensor() = default;
  /// Uninitialised memory from `source`. `block` is the channel block for Layout::blocked (8 or 16), else 1.
  Tensor(MemorySource& source, Shape shape, DType dtype, Layout layout = Layout::plain, int block = 1);
  Tensor(const Tensor& other) noexcept;
  Tensor(Tensor&& other) noexcept;
  Tensor& operator=(Tensor other) noexcept;
  ~Tensor();

  bool defined() const { return block_memory_ != nullptr; }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  Layout layout() const { return layout_; }
  int block() const { return block_; }
  MemoryKind memory_kind() const;
  std::size_t elements() const;  ///< physical elements, channel padding included
  std::size_t bytes() const { return elements() * size_of(dtype_); }
  int use_count() const;  ///< handles on the same memory

  void* raw() const { return data_; }
  /// Typed pointer to the first element; T must match dtype (bf16 and f16 are std::uint16_t). Device memory allowed.
  template <class T>
  T* data() const {
    check_type(type_code<T>());
    return static_cast<T*>(data_);
  }
  /// Host view of all physical elements; throws for device memory.
  template <class T>
  std::span<T> host_span() const {
    check_host();
    return {data<T>(), elements()};
  }

  /// Same memory from element `offset` on, seen as plain `shape`.
  Tensor view(std::size_t offset, Shape shape) const;

 private:
  enum class TypeCode : std::uint8_t { f32, f64, u16, u8, i32, i64 };
  template <class T>
  static constexpr TypeCode type_code() {
    if constexpr (std::is_same_v<T, float>)
      return TypeCode::f32;
    else if constexpr (std::is_same_v<T, double>)
      return TypeCode::f64;
    else if constexpr (std::is_same_v<T, std::uint16_t>)
      return TypeCode::u16;
    else if constexpr (std::is_same_v<T, std::uint8_t>)
      return TypeCode::u8;
    else if constexpr (std::is_same_v<T, std::int32_t>)
      return TypeCode::i32;
    else {
      static_assert(std::is_same_v<T, std::int64_t>, "Tensor::data<T>: unsupported element type");
      return TypeCode::i64;
    }
  }
  void check_type(TypeCode code) const;
  void check_host() const;
  void release() noexcept;

  MemoryBlock* block_memory_ = nullptr;
  void* data_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::f32;
  Layout layout_ = Layout::plain;
  int block_ = 1;
};

}  // namespace plsc
