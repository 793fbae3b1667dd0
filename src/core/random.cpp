#include "plsc/core/random.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "plsc/core/error.h"

namespace plsc {

std::uint64_t mix64(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

CounterRng::CounterRng(std::uint64_t seed, RandomPurpose purpose, std::uint64_t id, std::uint64_t step)
    : key_(mix64(mix64(mix64(mix64(seed) ^ static_cast<std::uint64_t>(purpose)) ^ id) ^ step)) {}

std::uint64_t CounterRng::next_u64() { return mix64(key_ ^ mix64(counter_++)); }

double CounterRng::uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }

double CounterRng::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::uint64_t CounterRng::below(std::uint64_t bound) {
  const std::uint64_t limit = -bound % bound;  // 2^64 mod bound: draws under it would favour small values
  std::uint64_t value = next_u64();
  while (value < limit) value = next_u64();
  return value % bound;
}

Permutation::Permutation(std::uint64_t size, std::uint64_t seed, std::uint64_t epoch)
    : size_(size), half_bits_((std::bit_width(size > 1 ? size - 1 : 1) + 1) / 2) {
  if (size == 0) throw Error(ErrorCode::internal, "permutation of 0 places (nothing to choose from). Check for data.");
  CounterRng rng(seed, RandomPurpose::epoch_order, epoch);
  for (std::uint64_t& key : keys_) key = rng.next_u64();
}

std::uint64_t Permutation::operator()(std::uint64_t place) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  do {
    std::uint64_t left = place >> half_bits_;
    std::uint64_t right = place & mask;
    for (const std::uint64_t key : keys_) {
      const std::uint64_t next = left ^ (mix64(right ^ key) & mask);
      left = right;
      right = next;
    }
    place = (left << half_bits_) | right;
  } while (place >= size_);
  return place;
}

}  // namespace plsc
