#include "plsc/eval/closed_set.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "eval/fake_network.h"
#include "plsc/comm/self.h"
#include "plsc/core/error.h"
#include "support/thread_ranks.h"

namespace plsc::eval {

namespace {

using Catch::Matchers::Contains;
using test::fake_network;
using test::MemorySource;
using test::small_options;

/// Ranks class n first for an embedding whose first value is n, and classes n + 1, n + 2, ... behind it.
std::vector<std::vector<std::int64_t>> rank_upwards(const float* embeddings, std::int64_t count) {
  std::vector<std::vector<std::int64_t>> best;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto first = static_cast<std::int64_t>(embeddings[3 * i]);
    best.push_back({first, first + 1, first + 2, first + 3, first + 4, first + 5});
  }
  return best;
}

/// Embeds every image as the upper left red value.
void embed_first_pixel(const Tensor& images, std::span<float> out) {
  const auto pixels = images.host_span<std::uint8_t>();
  const std::size_t batch = static_cast<std::size_t>(images.shape()[0]);
  for (std::size_t i = 0; i < batch; ++i) out[3 * i] = pixels[i * pixels.size() / batch];
}

/// Image i has the red value i everywhere.
MemorySource numbered_source(std::int64_t count) {
  MemorySource source(count, 100, 8, 6);
  for (std::int64_t i = 0; i < count; ++i) {
    const data::Image image{8, 6, std::vector<std::uint8_t>(8 * 6 * 3, static_cast<std::uint8_t>(i))};
    source.images()[static_cast<std::size_t>(i)] = test::encode_png(image);
  }
  return source;
}

EmbedOptions without_flip() {
  EmbedOptions options = small_options();
  options.flip = false;
  return options;
}

}  // namespace

TEST_CASE("top-1 and top-5 count the place of the label", "[closed_set]") {
  MemorySource source = numbered_source(10);
  // Places of the label: 1, 2, 5, 6 (too far), not at all, 1, uncounted, 1, 1, 1.
  source.labels() = {0, 2, 6, 8, 0, 5, -1, 7, 8, 9};
  const auto self = comm::make_self_communicator();

  const ClosedSetResult result = evaluate_closed_set(source, without_flip(), embed_first_pixel, rank_upwards, *self);

  CHECK(result.images == 9);
  CHECK(result.classes == 100);
  CHECK(result.top1 == Approx(5.0 / 9));
  CHECK(result.top5 == Approx(7.0 / 9));
}

TEST_CASE("all ranks ask the head equally often and agree on the result", "[closed_set]") {
  MemorySource source = numbered_source(9);
  source.labels() = {0, 1, 3, 3, 0, 5, 6, 7, 8};

  for (const int ranks : {1, 2, 3, 4}) {
    test::run_thread_ranks(ranks, [&](comm::Communicator& communicator) {
      std::int64_t calls = 0;
      const TopClasses collective = [&](const float* embeddings, std::int64_t count) {
        ++calls;
        communicator.barrier();
        test::expect(count == 4, "not the fixed batch");
        return rank_upwards(embeddings, count);
      };

      const ClosedSetResult result =
          evaluate_closed_set(source, without_flip(), embed_first_pixel, collective, communicator);

      test::expect(calls == rounds_for(9, ranks, 4), "another number of calls");
      test::expect(result.images == 9 && result.top1 == 7.0 / 9 && result.top5 == 8.0 / 9, "another result");
    });
  }
}

TEST_CASE("an image of one rank that cannot be decoded fails all ranks alike", "[closed_set]") {
  MemorySource source = numbered_source(9);
  source.images()[8].resize(20);

  test::run_thread_ranks(3, [&](comm::Communicator& communicator) {
    try {
      evaluate_closed_set(source, without_flip(), embed_first_pixel, rank_upwards, communicator);
      test::expect(false, "no error");
    } catch (const CollectiveError& error) {
      test::expect(error.context().at(0) == "memory, image 8", error.what());
    }
  });
}

TEST_CASE("fewer classes than five are enough", "[closed_set]") {
  const MemorySource source(6, 2, 8, 6);
  const auto self = comm::make_self_communicator();
  const TopClasses two = [](const float*, std::int64_t count) {
    return std::vector<std::vector<std::int64_t>>(static_cast<std::size_t>(count), {1, 0});
  };

  const ClosedSetResult result = evaluate_closed_set(source, small_options(), fake_network(), two, *self);

  CHECK(result.top1 == 0.5);
  CHECK(result.top5 == 1.0);
}

TEST_CASE("a closed set needs images and one ranking for each", "[closed_set]") {
  const MemorySource nothing(0, 1, 8, 6);
  const MemorySource source(3, 1, 8, 6);
  const auto self = comm::make_self_communicator();
  const TopClasses forgetful = [](const float*, std::int64_t) { return std::vector<std::vector<std::int64_t>>(2); };

  CHECK_THROWS_WITH(evaluate_closed_set(nothing, small_options(), fake_network(), rank_upwards, *self),
                    Contains("no labelled image"));
  CHECK_THROWS_WITH(evaluate_closed_set(source, small_options(), fake_network(), forgetful, *self),
                    Contains("ranked classes for 2 embeddings (it was given 4)"));
}

}  // namespace plsc::eval
