#pragma once
// Tensors of a backend from and to vectors in logical order, and repeatable random values.

#include <cstring>
#include <string>
#include <vector>

#include "plsc/backend/cpu.h"
#include "plsc/core/random.h"
#include "support/team.h"
#include "support/tolerance.h"

namespace plsc::test {

/// Normal values that are exactly representable in f32, so that references start from the same numbers.
inline Values random_values(std::size_t count, std::uint64_t seed, double mean = 0, double deviation = 1) {
  CounterRng rng(seed, RandomPurpose::test, count);
  Values values(count);
  for (double& value : values) value = static_cast<float>(mean + deviation * rng.normal());
  return values;
}

/// body(logical index, physical index) over the elements of a host tensor, padding left out.
template <class Body>
void for_each_element(const Tensor& tensor, const Body& body) {
  if (tensor.layout() == Layout::plain) {
    for (std::size_t i = 0; i < tensor.elements(); ++i) body(i, i);
    return;
  }
  const Shape& s = tensor.shape();
  const std::int64_t b = tensor.block();
  const std::int64_t blocks = (s[1] + b - 1) / b;
  const std::int64_t spatial = s[2] * s[3];
  std::size_t logical = 0;
  for (std::int64_t n = 0; n < s[0]; ++n) {
    for (std::int64_t c = 0; c < s[1]; ++c) {
      for (std::int64_t p = 0; p < spatial; ++p) {
        body(logical++, static_cast<std::size_t>(((n * blocks + c / b) * spatial + p) * b + c % b));
      }
    }
  }
}

inline void write(const Tensor& tensor, const Values& values) {
  std::memset(tensor.raw(), 0, tensor.bytes());
  for_each_element(tensor, [&](std::size_t logical, std::size_t physical) {
    tensor.data<float>()[physical] = static_cast<float>(values[logical]);
  });
}

inline Values read(const Tensor& tensor) {
  Values values(static_cast<std::size_t>(tensor.shape().elements()));
  for_each_element(
      tensor, [&](std::size_t logical, std::size_t physical) { values[logical] = tensor.data<float>()[physical]; });
  return values;
}

/// Largest absolute value in the channel padding.
inline double padding_of(const Tensor& tensor) {
  std::vector<float> all(tensor.data<float>(), tensor.data<float>() + tensor.elements());
  for_each_element(tensor, [&](std::size_t, std::size_t physical) { all[physical] = 0; });
  double worst = 0;
  for (const float value : all)
    worst = std::fmax(worst, value == 0 ? 0 : std::isfinite(value) ? std::abs(value) : 1e30);
  return worst;
}

/// A tensor whose every byte, padding included, is a quiet NaN: what is not written shows.
inline Tensor poisoned(backend::Backend& backend, const Shape& shape, Layout layout = Layout::plain) {
  Tensor tensor = backend.activation(shape, layout);
  std::memset(tensor.raw(), 0xff, tensor.bytes());
  return tensor;
}

inline Tensor make(backend::Backend& backend, const Shape& shape, const Values& values, Layout layout = Layout::plain) {
  Tensor tensor = backend.activation(shape, layout);
  write(tensor, values);
  return tensor;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

}  // namespace plsc::test
