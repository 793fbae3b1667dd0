#include "plsc/data/sampler.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "data/errors.h"
#include "plsc/core/random.h"
#include "plsc/data/augment.h"
#include "plsc/data/loader.h"

namespace plsc::data {

TEST_CASE("every epoch of the stream has each sample once", "[sampler]") {
  for (const std::uint64_t size : {1ULL, 2ULL, 7ULL, 100ULL}) {
    for (const bool shuffle : {true, false}) {
      const Sampler sampler(size, 11, shuffle);
      for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
        std::set<std::uint64_t> seen;
        for (std::uint64_t place = 0; place < size; ++place) {
          const StreamSample sample = sampler.at(epoch * size + place);
          REQUIRE(sample.epoch == epoch);
          seen.insert(sample.index);
        }
        REQUIRE(seen.size() == size);
        REQUIRE(*seen.rbegin() == size - 1);
      }
    }
  }
}

TEST_CASE("the shuffled order is the permutation of seed and epoch", "[sampler]") {
  const Sampler sampler(50, 3, true);

  for (std::uint64_t place = 0; place < 50; ++place) {
    REQUIRE(sampler.at(place).index == Permutation(50, 3, 0)(place));
    REQUIRE(sampler.at(100 + place).index == Permutation(50, 3, 2)(place));
  }
}

TEST_CASE("without shuffling the order is the source's", "[sampler]") {
  const Sampler sampler(5, 3, false);

  for (std::uint64_t position = 0; position < 15; ++position) REQUIRE(sampler.at(position).index == position % 5);
}

TEST_CASE("an empty source has no stream", "[sampler]") {
  const Error error = test::error_of([] { Sampler(0, 1, true); });

  REQUIRE(error.code() == ErrorCode::data);
  REQUIRE_THAT(error.message(), Catch::Contains("nothing to train on (0 samples)"));
}

TEST_CASE("shares cover the global batch and differ by at most one", "[sampler]") {
  for (const std::int64_t global_batch : {1, 2, 3, 5, 7, 8, 13, 128}) {
    for (int world_size = 1; world_size <= 9; ++world_size) {
      std::int64_t begin = 0;
      for (int rank = 0; rank < world_size; ++rank) {
        const BatchShare share = share_of(global_batch, rank, world_size);
        const bool longer = rank < global_batch % world_size;
        REQUIRE(share.begin == begin);
        REQUIRE(share.size == global_batch / world_size + (longer ? 1 : 0));
        REQUIRE(share.padded == (global_batch + world_size - 1) / world_size);
        begin += share.size;
      }
      REQUIRE(begin == global_batch);
    }
  }
}

TEST_CASE("augmentation is uniform over its range", "[augment]") {
  constexpr int kDraws = 6000;
  int mirrored = 0;
  std::vector<int> shifts_y(5);
  std::vector<int> shifts_x(5);
  for (std::uint64_t position = 0; position < kDraws; ++position) {
    const Augmentation drawn = draw_augmentation(9, position % 17, position, true, 2);
    mirrored += drawn.mirror ? 1 : 0;
    ++shifts_y.at(static_cast<std::size_t>(drawn.dy + 2));
    ++shifts_x.at(static_cast<std::size_t>(drawn.dx + 2));
  }

  REQUIRE(std::abs(mirrored - kDraws / 2) < 200);
  for (const int count : shifts_y) REQUIRE(std::abs(count - kDraws / 5) < 200);
  for (const int count : shifts_x) REQUIRE(std::abs(count - kDraws / 5) < 200);
}

TEST_CASE("augmentation depends on seed, sample and position only", "[augment]") {
  const auto differences = [](auto&& first, auto&& second) {
    int count = 0;
    for (std::uint64_t i = 0; i < 100; ++i) {
      const Augmentation a = first(i);
      const Augmentation b = second(i);
      count += a.dy != b.dy || a.dx != b.dx || a.mirror != b.mirror ? 1 : 0;
    }
    return count;
  };
  const auto base = [](std::uint64_t i) { return draw_augmentation(1, 5, i, true, 4); };

  REQUIRE(differences(base, base) == 0);
  REQUIRE(differences(base, [](std::uint64_t i) { return draw_augmentation(2, 5, i, true, 4); }) > 80);
  REQUIRE(differences(base, [](std::uint64_t i) { return draw_augmentation(1, 6, i, true, 4); }) > 80);
  REQUIRE(differences(base, [](std::uint64_t i) { return draw_augmentation(1, 5, i + 1, true, 4); }) > 80);
}

TEST_CASE("one augmentation switched off leaves the other as it is", "[augment]") {
  for (std::uint64_t position = 0; position < 50; ++position) {
    const Augmentation both = draw_augmentation(1, 2, position, true, 3);
    const Augmentation crop = draw_augmentation(1, 2, position, false, 3);
    const Augmentation flip = draw_augmentation(1, 2, position, true, 0);

    REQUIRE((crop.dy == both.dy && crop.dx == both.dx && !crop.mirror));
    REQUIRE((flip.dy == 0 && flip.dx == 0 && flip.mirror == both.mirror));
  }
}

}  // namespace plsc::data
