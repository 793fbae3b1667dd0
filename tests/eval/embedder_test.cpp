#include "plsc/eval/embedder.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "eval/fake_network.h"
#include "plsc/comm/self.h"
#include "plsc/core/error.h"
#include "support/thread_ranks.h"

namespace plsc::eval {

namespace {

using Catch::Matchers::Contains;
using test::embed_planes;
using test::fake_network;
using test::MemorySource;
using test::small_options;

constexpr int kHeight = 8;
constexpr int kWidth = 6;

/// What one image's plain and mirrored embeddings should be, without decoder threads and batches.
struct Expected {
  std::vector<float> plain = std::vector<float>(3);
  std::vector<float> mirrored = std::vector<float>(3);
};

Expected expected_of(std::uint64_t seed) {
  const data::Image image = test::make_image(kHeight, kWidth, seed);
  std::vector<std::uint8_t> planes(3 * kHeight * kWidth);
  std::vector<std::uint8_t> mirrored(planes.size());
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t y = 0; y < kHeight; ++y) {
      for (std::size_t x = 0; x < kWidth; ++x) {
        const std::uint8_t pixel = image.pixels[(y * kWidth + x) * 3 + c];
        planes[(c * kHeight + y) * kWidth + x] = pixel;
        mirrored[(c * kHeight + y) * kWidth + kWidth - 1 - x] = pixel;
      }
    }
  }
  Expected expected;
  embed_planes(planes, expected.plain);
  embed_planes(mirrored, expected.mirrored);
  return expected;
}

double norm_of(const std::vector<float>& values) {
  double squares = 0;
  for (const float value : values) squares += static_cast<double>(value) * value;
  return std::sqrt(squares);
}

}  // namespace

TEST_CASE("rows are the sums of plain and mirrored embeddings, XNorm the mean over both norms", "[embedder]") {
  const MemorySource source(11, 5, kHeight, kWidth);
  const auto self = comm::make_self_communicator();

  const Embeddings result = embed_all(SourceImages(source), small_options(), fake_network(), *self);

  REQUIRE(result.rows.size() == 33);
  double norms = 0;
  for (std::size_t i = 0; i < 11; ++i) {
    const Expected expected = expected_of(i);
    REQUIRE(expected.plain != expected.mirrored);
    for (std::size_t d = 0; d < 3; ++d) CHECK(result.rows[3 * i + d] == expected.plain[d] + expected.mirrored[d]);
    norms += norm_of(expected.plain) + norm_of(expected.mirrored);
  }
  CHECK(result.xnorm == Approx(norms / 22).epsilon(1e-12));
  CHECK(result.range.begin == 0);
  CHECK(result.range.size == 11);
}

TEST_CASE("without flip rows are the plain embeddings", "[embedder]") {
  const MemorySource source(5, 5, kHeight, kWidth);
  EmbedOptions options = small_options();
  options.flip = false;
  int calls = 0;
  const EmbedFunction counting = [&](const Tensor& images, std::span<float> out) {
    ++calls;
    fake_network()(images, out);
  };

  const Embeddings result = embed_range(SourceImages(source), {0, 5}, options, counting);

  CHECK(calls == 2);
  double norms = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    const Expected expected = expected_of(i);
    for (std::size_t d = 0; d < 3; ++d) CHECK(result.rows[3 * i + d] == expected.plain[d]);
    norms += norm_of(expected.plain);
  }
  CHECK(result.xnorm == Approx(norms / 5).epsilon(1e-12));
}

TEST_CASE("any number of ranks, threads and any batch give the same bits", "[embedder]") {
  const MemorySource source(13, 5, kHeight, kWidth);
  const SourceImages set(source);
  const auto self = comm::make_self_communicator();
  const Embeddings single = embed_all(set, small_options(), fake_network(), *self);

  for (const int ranks : {1, 2, 3, 4}) {
    test::run_thread_ranks(ranks, [&](comm::Communicator& communicator) {
      EmbedOptions options = small_options();
      options.batch = 1 + ranks;
      options.decode_threads = ranks;

      const Embeddings result = embed_all(set, options, fake_network(), communicator);

      test::expect(result.rows == single.rows, "rows differ");
      test::expect(result.xnorm == single.xnorm, "xnorm differs");
    });
  }
}

TEST_CASE("more ranks than images, and no images at all", "[embedder]") {
  const MemorySource source(2, 2, kHeight, kWidth);
  const MemorySource nothing(0, 1, kHeight, kWidth);
  const auto self = comm::make_self_communicator();
  const Embeddings single = embed_all(SourceImages(source), small_options(), fake_network(), *self);

  test::run_thread_ranks(4, [&](comm::Communicator& communicator) {
    const Embeddings two = embed_all(SourceImages(source), small_options(), fake_network(), communicator);
    const Embeddings none = embed_all(SourceImages(nothing), small_options(), fake_network(), communicator);

    test::expect(two.rows == single.rows, "rows differ");
    test::expect(none.rows.empty() && none.xnorm == 0, "rows out of nothing");
  });
}

TEST_CASE("rows can stay on their rank", "[embedder]") {
  const MemorySource source(10, 5, kHeight, kWidth);
  const Embeddings all = embed_range(SourceImages(source), {0, 10}, small_options(), fake_network());

  const Embeddings part = embed_range(SourceImages(source), {3, 6}, small_options(), fake_network());

  CHECK(part.range.begin == 3);
  CHECK(part.rows == std::vector<float>(all.rows.begin() + 9, all.rows.begin() + 27));
}

TEST_CASE("batches have a fixed size, padded with zero images and zero rows", "[embedder]") {
  const MemorySource source(14, 5, kHeight, kWidth);
  std::vector<std::int64_t> firsts;
  std::vector<std::int64_t> valid;
  bool padding_is_zero = true;
  const EmbedFunction network = [&](const Tensor& images, std::span<float> out) {
    REQUIRE(images.shape() == Shape({4, 3, kHeight, kWidth}));
    if (firsts.size() == 3) {
      const auto pixels = images.host_span<std::uint8_t>().subspan(2 * 3 * kHeight * kWidth);
      padding_is_zero = padding_is_zero && std::all_of(pixels.begin(), pixels.end(), [](int p) { return p == 0; });
    }
    std::fill(out.begin(), out.end(), 1.0F);
  };

  embed_batches(SourceImages(source), {0, 14}, small_options(), network, [&](const EmbeddedBatch& batch) {
    firsts.push_back(batch.first);
    valid.push_back(batch.valid);
    REQUIRE(batch.rows.size() == 12);
    REQUIRE(batch.norms.size() == static_cast<std::size_t>(batch.valid));
    CHECK(std::accumulate(batch.rows.begin(), batch.rows.end(), 0.0F) == 2.0F * 3.0F * static_cast<float>(batch.valid));
  });

  CHECK(firsts == std::vector<std::int64_t>{0, 4, 8, 12});
  CHECK(valid == std::vector<std::int64_t>{4, 4, 4, 2});
  CHECK(padding_is_zero);
}

TEST_CASE("images of another size are scaled", "[embedder]") {
  const MemorySource source(3, 3, 2 * kHeight, 2 * kWidth);
  bool called = false;
  const EmbedFunction network = [&](const Tensor& images, std::span<float> out) {
    called = true;
    CHECK(images.shape() == Shape({4, 3, kHeight, kWidth}));
    std::fill(out.begin(), out.end(), 0.0F);
  };

  embed_range(SourceImages(source), {0, 3}, small_options(), network);

  CHECK(called);
}

TEST_CASE("progress counts the images of this rank", "[embedder]") {
  const MemorySource source(9, 3, kHeight, kWidth);
  std::vector<std::pair<std::int64_t, std::int64_t>> seen;
  EmbedOptions options = small_options();
  options.on_progress = [&](std::int64_t done, std::int64_t total) { seen.emplace_back(done, total); };

  embed_range(SourceImages(source), {0, 9}, options, fake_network());

  CHECK(seen == std::vector<std::pair<std::int64_t, std::int64_t>>{{4, 9}, {8, 9}, {9, 9}});
}

TEST_CASE("of several images that cannot be decoded the first is reported with its place", "[embedder]") {
  MemorySource source(40, 3, kHeight, kWidth);
  for (const std::size_t index : {6U, 7U, 8U, 30U}) source.images()[index].resize(20);
  EmbedOptions options = small_options();
  options.decode_threads = 4;

  for (int trial = 0; trial < 20; ++trial) {
    std::int64_t embedded = 0;
    try {
      embed_batches(SourceImages(source), {0, 40}, options, fake_network(),
                    [&](const EmbeddedBatch& batch) { embedded += batch.valid; });
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::data);
      REQUIRE(error.context().size() == 1);
      CHECK(error.context()[0] == "memory, image 6");
    }
    CHECK(embedded == 4);
  }
}

TEST_CASE("an error of the network ends the decoding threads", "[embedder]") {
  const MemorySource source(40, 3, kHeight, kWidth);
  const EmbedFunction broken = [](const Tensor&, std::span<float>) { throw Error(ErrorCode::numeric, "broken"); };

  CHECK_THROWS_WITH(embed_range(SourceImages(source), {0, 40}, small_options(), broken), Contains("broken"));
}

TEST_CASE("an error on one rank reaches all ranks", "[embedder]") {
  MemorySource source(8, 3, kHeight, kWidth);
  source.images()[7].resize(20);

  test::run_thread_ranks(3, [&](comm::Communicator& communicator) {
    try {
      embed_all(SourceImages(source), small_options(), fake_network(), communicator);
      test::expect(false, "no error");
    } catch (const CollectiveError& error) {
      test::expect(error.context().at(0) == "memory, image 7", error.what());
    }
  });
}

TEST_CASE("impossible options are refused", "[embedder]") {
  const MemorySource source(3, 3, kHeight, kWidth);
  const auto with = [&](const std::function<void(EmbedOptions&)>& change) {
    EmbedOptions options = small_options();
    change(options);
    return embed_range(SourceImages(source), {0, 3}, options, fake_network());
  };

  CHECK_THROWS_WITH(with([](EmbedOptions& o) { o.batch = 0; }), Contains("8x6 in batches of 0 to dimension 3 with 2"));
  CHECK_THROWS_WITH(with([](EmbedOptions& o) { o.dimension = 0; }), Contains("dimension 0"));
  CHECK_THROWS_WITH(with([](EmbedOptions& o) { o.height = 0; }), Contains("0x6"));
  CHECK_THROWS_WITH(with([](EmbedOptions& o) { o.width = 0; }), Contains("8x0"));
  CHECK_THROWS_WITH(with([](EmbedOptions& o) { o.decode_threads = 0; }), Contains("0 decoding threads"));
}

TEST_CASE("a verification set is a set of images", "[embedder]") {
  VerificationSet set;
  set.path = "tiny.bin";
  for (std::uint64_t i = 0; i < 4; ++i) set.images.push_back(test::encode_png(test::make_image(kHeight, kWidth, i)));
  set.images[3].resize(10);
  const VerificationImages images(set);

  CHECK(images.count() == 4);
  CHECK_THROWS_WITH(embed_range(images, {0, 4}, small_options(), fake_network()),
                    Contains("tiny.bin, image 3 (pair 1, second)"));
}

TEST_CASE("ranges are contiguous and rounds equal on all ranks", "[embedder]") {
  for (const std::int64_t count : {0, 1, 5, 12, 13}) {
    for (const int world : {1, 2, 3, 4}) {
      CAPTURE(count, world);
      std::int64_t next = 0;
      std::int64_t most = 0;
      for (int rank = 0; rank < world; ++rank) {
        const ImageRange range = range_of(count, rank, world);
        CHECK(range.begin == next);
        next += range.size;
        most = std::max(most, (range.size + 3) / 4);
      }
      CHECK(next == count);
      CHECK(rounds_for(count, world, 4) == most);
    }
  }
}

}  // namespace plsc::eval
