#include "plsc/data/loader.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <vector>

#include "data/memory_samples.h"
#include "plsc/data/augment.h"
#include "plsc/data/image.h"
#include "plsc/data/sampler.h"

namespace plsc::data {

namespace {

using test::MemorySamples;

constexpr int kHeight = 6;
constexpr int kWidth = 5;
constexpr std::size_t kImageBytes = 3 * kHeight * kWidth;

LoaderOptions options_for(std::int64_t global_batch) {
  LoaderOptions options;
  options.data.height = kHeight;
  options.data.width = kWidth;
  options.data.random_crop = 2;
  options.data.workers = 2;
  options.data.prefetch = 2;
  options.seed = 17;
  options.global_batch = global_batch;
  return options;
}

/// What is left of a batch once its memory goes back.
struct Copy {
  std::vector<std::uint8_t> images;
  std::vector<std::int64_t> labels;
  std::int64_t valid = 0;
  friend bool operator==(const Copy&, const Copy&) = default;
};

Copy copy_of(const HostBatch& batch) {
  const auto pixels = batch.images.host_span<std::uint8_t>();
  return {{pixels.begin(), pixels.end()}, batch.labels, batch.valid};
}

std::vector<Copy> batches(const SampleSource& source, const LoaderOptions& options, int count) {
  const auto loader = make_loader(source, options);
  std::vector<Copy> out;
  for (int i = 0; i < count; ++i) out.push_back(copy_of(loader->next()));
  return out;
}

/// The rows of all ranks' shares of one step, in the order of the stream.
Copy joined(const std::vector<Copy>& shares) {
  Copy all;
  for (const Copy& share : shares) {
    const auto bytes = static_cast<std::ptrdiff_t>(share.valid) * static_cast<std::ptrdiff_t>(kImageBytes);
    all.images.insert(all.images.end(), share.images.begin(), share.images.begin() + bytes);
    all.labels.insert(all.labels.end(), share.labels.begin(), share.labels.begin() + share.valid);
    all.valid += share.valid;
  }
  return all;
}

}  // namespace

TEST_CASE("a batch holds the stream's samples, augmented by their place", "[loader]") {
  const MemorySamples source(11, kHeight, kWidth);
  const LoaderOptions options = options_for(4);
  const Sampler sampler(11, options.seed, true);

  const std::vector<Copy> got = batches(source, options, 7);  // 28 places: more than two epochs

  for (std::uint64_t position = 0; position < 28; ++position) {
    const Copy& batch = got[position / 4];
    const std::uint64_t index = sampler.at(position).index;
    const Augmentation drawn = draw_augmentation(options.seed, index, position, true, 2);
    std::vector<std::uint8_t> expected(kImageBytes);
    to_planes(source.image(index), drawn.dy, drawn.dx, drawn.mirror, expected.data());
    REQUIRE(batch.valid == 4);
    REQUIRE(batch.labels[position % 4] == source.label(index));
    REQUIRE(std::equal(expected.begin(), expected.end(),
                       batch.images.begin() + static_cast<std::ptrdiff_t>(position % 4 * kImageBytes)));
  }
}

TEST_CASE("together the ranks see each sample once an epoch, in any number", "[loader]") {
  constexpr std::int64_t kSamples = 15;
  const MemorySamples source(kSamples, kHeight, kWidth);
  for (const std::int64_t global_batch : {5, 8, 15, 21}) {
    const int steps = static_cast<int>(2 * kSamples);  // a multiple of whole epochs for any global batch
    const std::vector<Copy> alone = batches(source, options_for(global_batch), steps);
    for (int world_size = 1; world_size <= 8; ++world_size) {
      std::vector<std::vector<Copy>> ranks;
      for (int rank = 0; rank < world_size; ++rank) {
        LoaderOptions options = options_for(global_batch);
        options.rank = rank;
        options.world_size = world_size;
        options.data.workers = 1;
        ranks.push_back(batches(source, options, steps));
      }
      std::vector<std::int64_t> stream;
      for (int step = 0; step < steps; ++step) {
        std::vector<Copy> shares;
        for (const auto& rank : ranks) shares.push_back(rank[static_cast<std::size_t>(step)]);
        const Copy together = joined(shares);
        REQUIRE(together == alone[static_cast<std::size_t>(step)]);
        stream.insert(stream.end(), together.labels.begin(), together.labels.end());
      }
      for (std::size_t begin = 0; begin < stream.size(); begin += kSamples) {
        const auto first = stream.begin() + static_cast<std::ptrdiff_t>(begin);
        REQUIRE(std::set<std::int64_t>(first, first + kSamples).size() == kSamples);
      }
    }
  }
}

TEST_CASE("batches of all ranks have one shape; padding is zero with label -1", "[loader]") {
  const MemorySamples source(9, kHeight, kWidth);
  for (const std::int64_t global_batch : {2, 7}) {
    for (int rank = 0; rank < 3; ++rank) {
      LoaderOptions options = options_for(global_batch);
      options.rank = rank;
      options.world_size = 3;
      const auto loader = make_loader(source, options);
      const BatchShare share = share_of(global_batch, rank, 3);
      for (int step = 0; step < 4; ++step) {
        const HostBatch batch = loader->next();
        REQUIRE(batch.images.shape() == Shape{(global_batch + 2) / 3, 3, kHeight, kWidth});
        REQUIRE(batch.images.dtype() == DType::u8);
        REQUIRE(batch.valid == share.size);
        REQUIRE(batch.labels.size() == static_cast<std::size_t>(share.padded));
        const auto pixels = batch.images.host_span<std::uint8_t>();
        for (std::size_t row = 0; row < batch.labels.size(); ++row) {
          const auto image = pixels.subspan(row * kImageBytes, kImageBytes);
          const bool zero = std::all_of(image.begin(), image.end(), [](std::uint8_t v) { return v == 0; });
          REQUIRE(zero == (static_cast<std::int64_t>(row) >= share.size));
          REQUIRE((batch.labels[row] == -1) == zero);
        }
      }
    }
  }
}

TEST_CASE("a loader that starts at any step continues bit for bit", "[loader]") {
  const MemorySamples source(10, kHeight, kWidth);
  const std::vector<Copy> whole = batches(source, options_for(7), 12);

  for (std::int64_t first = 0; first < 9; ++first) {
    LoaderOptions options = options_for(7);
    options.first_step = first;
    const std::vector<Copy> rest = batches(source, options, 3);
    for (std::size_t i = 0; i < 3; ++i) REQUIRE(rest[i] == whole[static_cast<std::size_t>(first) + i]);
  }
}

TEST_CASE("the number of threads and of prefetched batches changes nothing", "[loader]") {
  const MemorySamples source(40, kHeight, kWidth);
  LoaderOptions options = options_for(32);
  options.data.workers = 1;
  options.data.prefetch = 1;
  const std::vector<Copy> expected = batches(source, options, 12);

  for (const int workers : {0, 2, 4}) {
    for (const int prefetch : {1, 3, 8}) {
      options.data.workers = workers;
      options.data.prefetch = prefetch;
      REQUIRE(batches(source, options, 12) == expected);
    }
  }
}

TEST_CASE("shuffle, flip and crop act as the configuration says", "[loader]") {
  const MemorySamples source(6, kHeight, kWidth);
  LoaderOptions options = options_for(6);
  options.data.shuffle = false;
  options.data.flip = false;
  options.data.random_crop = 0;

  const std::vector<Copy> plain = batches(source, options, 2);
  options.data.flip = true;
  const std::vector<Copy> flipped = batches(source, options, 2);
  options.data.flip = false;
  options.data.random_crop = 1;
  const std::vector<Copy> cropped = batches(source, options, 2);

  REQUIRE(plain[0] == plain[1]);
  REQUIRE(plain[0].labels == std::vector<std::int64_t>{100, 101, 102, 103, 104, 105});
  for (std::uint64_t i = 0; i < 6; ++i) {
    std::vector<std::uint8_t> expected(kImageBytes);
    to_planes(source.image(i), 0, 0, false, expected.data());
    REQUIRE(std::equal(expected.begin(), expected.end(),
                       plain[0].images.begin() + static_cast<std::ptrdiff_t>(i * kImageBytes)));
  }
  REQUIRE(flipped[0].labels == plain[0].labels);
  REQUIRE(flipped != plain);
  REQUIRE(cropped != plain);
  REQUIRE(flipped != cropped);
}

TEST_CASE("images of another size are resized", "[loader]") {
  const MemorySamples source(3, 2 * kHeight, 3 * kWidth);
  LoaderOptions options = options_for(3);
  options.data.shuffle = false;
  options.data.flip = false;
  options.data.random_crop = 0;

  const std::vector<Copy> got = batches(source, options, 1);

  for (std::uint64_t i = 0; i < 3; ++i) {
    Image image = source.image(i);
    resize(image, kHeight, kWidth);
    std::vector<std::uint8_t> expected(kImageBytes);
    to_planes(image, 0, 0, false, expected.data());
    REQUIRE(std::equal(expected.begin(), expected.end(),
                       got[0].images.begin() + static_cast<std::ptrdiff_t>(i * kImageBytes)));
  }
}

TEST_CASE("image memory goes round, and a batch that is kept stays as it was", "[loader]") {
  const MemorySamples source(8, kHeight, kWidth);
  const LoaderOptions options = options_for(4);
  const auto loader = make_loader(source, options);
  const HostBatch kept = loader->next();
  const Copy before = copy_of(kept);

  std::set<const void*> memory;
  for (int i = 0; i < 40; ++i) {
    const HostBatch batch = loader->next();
    REQUIRE(batch.images.raw() != kept.images.raw());
    memory.insert(batch.images.raw());
  }

  REQUIRE(copy_of(kept) == before);
  REQUIRE(memory.size() <= 3);  // two prefetched, one in use
}

TEST_CASE("a consumer may keep every batch, and batches outlive the loader", "[loader]") {
  const MemorySamples source(8, kHeight, kWidth);
  const LoaderOptions options = options_for(4);
  std::vector<HostBatch> kept;
  {
    const auto loader = make_loader(source, options);
    for (int i = 0; i < 12; ++i) kept.push_back(loader->next());
  }

  const std::vector<Copy> expected = batches(source, options, 12);
  for (std::size_t i = 0; i < kept.size(); ++i) REQUIRE(copy_of(kept[i]) == expected[i]);
}

}  // namespace plsc::data
