#pragma once
// Counter-based randomness (contract C3): every value is a pure function of (seed, purpose, id, step), so it depends
// neither on the number of ranks or threads nor on what ran before. Mixing is SplitMix64's finaliser
// (Steele, Lea, Flood 2014) applied to each key in turn.

#include <cstdint>

namespace plsc {

/// What a random number is for; keeps streams apart that share seed and id.
enum class RandomPurpose : std::uint64_t {
  class_rows = 1,
  layer_init = 2,
  epoch_order = 3,
  augment = 4,
  class_sampling = 5,
  render = 6,
  test = 7,
};

std::uint64_t mix64(std::uint64_t value);

/// A short stream of numbers for one (seed, purpose, id, step).
class CounterRng {
 public:
  CounterRng(std::uint64_t seed, RandomPurpose purpose, std::uint64_t id, std::uint64_t step = 0);

  std::uint64_t next_u64();
  double uniform();                          ///< [0, 1)
  double normal();                           ///< mean 0, deviation 1 (Box-Muller, two draws per value)
  std::uint64_t below(std::uint64_t bound);  ///< [0, bound), bound > 0, unbiased

 private:
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
};

/// A bijection on [0, size): place -> element, different for every (seed, epoch). O(1) memory, O(1) expected time
/// (Feistel network with cycle walking, Black and Rogaway 2002).
class Permutation {
 public:
  Permutation(std::uint64_t size, std::uint64_t seed, std::uint64_t epoch);
  std::uint64_t operator()(std::uint64_t place) const;

 private:
  std::uint64_t size_;
  int half_bits_;
  std::uint64_t keys_[6];
};

}  // namespace plsc
