#include "plsc/core/random.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <set>

namespace plsc {

TEST_CASE("a permutation visits every place once", "[random]") {
  for (const std::uint64_t size : {1ULL, 2ULL, 3ULL, 7ULL, 64ULL, 1000ULL, 4097ULL}) {
    const Permutation permutation(size, 7, 3);
    std::set<std::uint64_t> seen;
    for (std::uint64_t place = 0; place < size; ++place) {
      const std::uint64_t value = permutation(place);
      REQUIRE(value < size);
      seen.insert(value);
    }
    REQUIRE(seen.size() == size);
  }
}

TEST_CASE("permutations differ between epochs and seeds", "[random]") {
  const Permutation first(1000, 7, 0);
  const Permutation next_epoch(1000, 7, 1);
  const Permutation other_seed(1000, 8, 0);
  int same_epoch = 0;
  int same_seed = 0;
  for (std::uint64_t place = 0; place < 1000; ++place) {
    same_epoch += first(place) == next_epoch(place);
    same_seed += first(place) == other_seed(place);
  }
  REQUIRE(same_epoch < 20);
  REQUIRE(same_seed < 20);
}

TEST_CASE("normal draws have mean 0 and deviation 1", "[random]") {
  double sum = 0;
  double squares = 0;
  constexpr int kDraws = 20000;
  for (int id = 0; id < kDraws; ++id) {
    CounterRng rng(1, RandomPurpose::test, static_cast<std::uint64_t>(id));
    const double value = rng.normal();
    sum += value;
    squares += value * value;
  }
  REQUIRE(std::abs(sum / kDraws) < 0.03);
  REQUIRE(std::abs(squares / kDraws - 1) < 0.05);
}

TEST_CASE("draws depend on every key", "[random]") {
  const auto draw = [](std::uint64_t seed, RandomPurpose purpose, std::uint64_t id, std::uint64_t step) {
    return CounterRng(seed, purpose, id, step).next_u64();
  };
  const std::uint64_t base = draw(1, RandomPurpose::test, 2, 3);

  REQUIRE(base == draw(1, RandomPurpose::test, 2, 3));
  REQUIRE(base != draw(2, RandomPurpose::test, 2, 3));
  REQUIRE(base != draw(1, RandomPurpose::augment, 2, 3));
  REQUIRE(base != draw(1, RandomPurpose::test, 3, 3));
  REQUIRE(base != draw(1, RandomPurpose::test, 2, 4));
}

TEST_CASE("numbers stay what they are, since checkpoints and runs depend on them", "[random]") {
  CounterRng rng(42, RandomPurpose::class_rows, 7, 3);
  const std::uint64_t first = rng.next_u64();
  const std::uint64_t second = rng.next_u64();

  // SplitMix64 from state 0: its published first outputs.
  CHECK(mix64(0) == 0xE220A8397B1DCDAFULL);
  CHECK(mix64(0x9E3779B97F4A7C15ULL) == 0x6E789E6AA1B965F4ULL);
  CHECK(first == 0xA6E3BF0AAB92B15DULL);
  CHECK(second == 0xDF798AC6C9C8CD8EULL);
  CHECK(Permutation(1000, 7, 3)(0) == 592);
  CHECK(Permutation(1000, 7, 3)(999) == 233);
}

TEST_CASE("a permutation of nothing is refused", "[random]") {
  CHECK_THROWS_WITH(Permutation(0, 7, 3), Catch::Contains("permutation of 0 places"));
}

TEST_CASE("uniform draws fill [0, 1)", "[random]") {
  CounterRng rng(9, RandomPurpose::test, 1);
  int counts[10] = {};
  for (int i = 0; i < 10000; ++i) {
    const double value = rng.uniform();
    REQUIRE(value >= 0);
    REQUIRE(value < 1);
    ++counts[static_cast<int>(value * 10)];
  }
  for (const int count : counts) CHECK(std::abs(count - 1000) < 150);
}

TEST_CASE("below stays in range and reaches every value", "[random]") {
  CounterRng rng(5, RandomPurpose::test, 0);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t value = rng.below(5);
    REQUIRE(value < 5);
    seen.insert(value);
  }
  REQUIRE(seen.size() == 5);
}

}  // namespace plsc
