#pragma once
// Shapes and element types. Plain values, no allocation.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace plsc {

enum class DType : std::uint8_t { f32, bf16, f16, f64, u8, i32, i64 };

std::size_t size_of(DType dtype);
const char* name_of(DType dtype);

/// Up to four dimensions; logical order is always [N, C, H, W], [O, I, H, W], [rows, columns] or [n].
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return dims_[static_cast<std::size_t>(axis)]; }
  std::int64_t& operator[](int axis) { return dims_[static_cast<std::size_t>(axis)]; }
  std::int64_t elements() const;  ///< product of the dimensions; 1 for rank 0
  std::string text() const;       ///< "[32, 64, 112, 112]"

  friend bool operator==(const Shape& a, const Shape& b) { return a.rank_ == b.rank_ && a.dims_ == b.dims_; }
  friend bool operator!=(const Shape& a, const Shape& b) { return !(a == b); }
  friend bool operator<(const Shape& a, const Shape& b) {
    return a.rank_ != b.rank_ ? a.rank_ < b.rank_ : a.dims_ < b.dims_;
  }

 private:
  int rank_ = 0;
  std::array<std::int64_t, 4> dims_{};
};

}  // namespace plsc
