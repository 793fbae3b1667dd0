#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "data/captured_stderr.h"
#include "data/errors.h"
#include "data/memory_samples.h"
#include "plsc/data/loader.h"
#include "plsc/data/sampler.h"
#include "support/temp_dir.h"

namespace plsc::data {

namespace {

using Catch::Contains;
using config::OnError;
using test::MemorySamples;

LoaderOptions small_options(std::int64_t global_batch) {
  LoaderOptions options;
  options.data.height = 4;
  options.data.width = 4;
  options.data.shuffle = false;
  options.data.workers = 3;
  options.data.prefetch = 2;
  options.global_batch = global_batch;
  return options;
}

Error bad_sample(const std::string& why) { return Error(ErrorCode::data, "Bad sample (" + why + "). Replace it."); }

/// Batches that next() delivers before it throws, and what it throws.
std::pair<int, Error> run_into_error(Loader& loader) {
  int delivered = 0;
  Error error = test::error_of([&] {
    for (; delivered < 100; ++delivered) loader.next();
  });
  return {delivered, error};
}

}  // namespace

TEST_CASE("a bad image ends training at its own step, with list file and line", "[loader]") {
  const test::TempDir folder;
  std::string list;
  for (int i = 0; i < 12; ++i) {
    const std::string name = "images/" + std::to_string(i) + ".jpg";
    test::write_file(folder / name, test::encode_jpeg(test::make_image(4, 4, static_cast<std::uint64_t>(i))));
    list += name + "\t" + std::to_string(i) + "\n";
  }
  test::write_file(folder / "images/7.jpg", "no image");
  std::filesystem::remove(folder / "images/8.jpg");
  test::write_file(folder / "train.txt", list);
  LoaderOptions options = small_options(3);
  options.data.list = (folder / "train.txt").string();
  const auto source = open_source(options.data);
  const auto loader = make_loader(*source, options);

  const auto [delivered, error] = run_into_error(*loader);

  REQUIRE(delivered == 2);  // steps 0 and 1 are whole; both bad images are of step 2, the first one is reported
  REQUIRE(error.code() == ErrorCode::data);
  REQUIRE_THAT(error.message(), Contains("Cannot decode the image") && Contains("data.on_error=skip"));
  REQUIRE(error.context().at(0) == options.data.list + ", line 8: images/7.jpg");
  REQUIRE(error.context().at(1) == "rank 0, batch of step 2");
}

TEST_CASE("after an error every further call gives the same one", "[loader]") {
  MemorySamples source(10, 4, 4);
  source.before_read = [](std::uint64_t index) {
    if (index >= 4) throw bad_sample("number " + std::to_string(index));
  };
  const auto loader = make_loader(source, small_options(2));

  const auto [delivered, error] = run_into_error(*loader);

  REQUIRE(delivered == 2);
  REQUIRE_THAT(error.message(), Contains("number 4"));
  for (int i = 0; i < 3; ++i) {
    REQUIRE(std::string(test::error_of([&] { loader->next(); }).what()) == error.what());
  }
}

TEST_CASE("what is no Error becomes one", "[loader]") {
  MemorySamples source(4, 4, 4);
  source.before_read = [](std::uint64_t index) {
    if (index == 2) throw std::runtime_error("out of luck");
  };
  LoaderOptions options = small_options(4);
  options.data.on_error = OnError::skip;
  const auto loader = make_loader(source, options);

  const auto [delivered, error] = run_into_error(*loader);

  REQUIRE(delivered == 0);
  REQUIRE(error.code() == ErrorCode::internal);
  REQUIRE_THAT(error.message(), Contains("Decoding failed (out of luck)"));
}

TEST_CASE("with on_error=skip a bad image is a zero row with label -1, counted and named", "[loader]") {
  MemorySamples source(30, 4, 4);
  source.before_read = [](std::uint64_t index) {
    if (index % 6 == 1) throw bad_sample("number " + std::to_string(index));
  };
  LoaderOptions options = small_options(6);
  options.data.on_error = OnError::skip;
  test::CapturedStderr log;
  {
    const auto loader = make_loader(source, options);
    for (std::uint64_t step = 0; step < 10; ++step) {
      const HostBatch batch = loader->next();
      REQUIRE(loader->skipped() == step + 1);
      REQUIRE(batch.valid == 6);
      for (std::size_t row = 0; row < 6; ++row) {
        const auto image = batch.images.host_span<std::uint8_t>().subspan(row * 48, 48);
        const bool zero = std::all_of(image.begin(), image.end(), [](std::uint8_t v) { return v == 0; });
        REQUIRE(zero == (row == 1));
        REQUIRE(batch.labels[row] == (row == 1 ? -1 : static_cast<std::int64_t>(100 + (step * 6 + row) % 30)));
      }
    }
  }
  const std::string text = log.text();

  REQUIRE_THAT(text, Contains("left out a sample (data.on_error=skip): Bad sample (number 1)") &&
                         Contains("memory, sample 1\n") && Contains("memory, sample 7") &&
                         Contains("memory, sample 13"));
  REQUIRE_THAT(text, !Contains("sample 19"));
  REQUIRE_THAT(text, Contains("left out 10 samples so far") && Contains("left out 10 of 60 samples in all"));
}

TEST_CASE("skipping the greater part is an error", "[loader]") {
  MemorySamples source(50, 4, 4);
  source.before_read = [](std::uint64_t index) {
    if (index % 5 < 3) throw bad_sample("gone");
  };
  LoaderOptions options = small_options(50);
  options.data.on_error = OnError::skip;
  test::CapturedStderr silence;
  const auto loader = make_loader(source, options);

  const auto [delivered, error] = run_into_error(*loader);

  REQUIRE(delivered == 1);  // 50 samples are too few to judge
  REQUIRE(error.code() == ErrorCode::data);
  REQUIRE_THAT(error.message(), Contains("60 of 100 samples could not be read") && Contains("data.root"));
}

TEST_CASE("trouble of the machine is not skipped", "[loader]") {
  MemorySamples source(4, 4, 4);
  source.before_read = [](std::uint64_t index) {
    if (index == 1) throw Error(ErrorCode::io, "Cannot read the image (Too many open files).");
  };
  LoaderOptions options = small_options(2);
  options.data.on_error = OnError::skip;
  const auto loader = make_loader(source, options);

  const auto [delivered, error] = run_into_error(*loader);

  REQUIRE(delivered == 0);
  REQUIRE(error.code() == ErrorCode::io);
  REQUIRE(error.context().at(0) == "memory, sample 1");
}

TEST_CASE("a loader can be dropped at any moment", "[loader]") {
  MemorySamples source(16, 4, 4);
  std::atomic<int> reads = 0;
  source.before_read = [&](std::uint64_t) {
    ++reads;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  };
  for (int taken = 0; taken < 6; ++taken) {
    for (const int workers : {1, 4}) {
      LoaderOptions options = small_options(8);
      options.data.workers = workers;
      const auto loader = make_loader(source, options);
      for (int i = 0; i < taken; ++i) loader->next();
    }
  }

  REQUIRE(reads > 0);
}

TEST_CASE("a loader that failed unseen can be dropped", "[loader]") {
  MemorySamples source(16, 4, 4);
  std::atomic<bool> failed = false;
  source.before_read = [&](std::uint64_t) {
    failed = true;
    throw bad_sample("every one");
  };
  {
    const auto loader = make_loader(source, small_options(4));
    while (!failed) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  REQUIRE(failed);
}

TEST_CASE("impossible options are refused with the key and its value", "[loader]") {
  const MemorySamples source(4, 4, 4);
  const auto error_with = [&](auto&& change) {
    LoaderOptions options = small_options(4);
    change(options);
    return test::error_of([&] { make_loader(source, options); });
  };

  const Error batch = error_with([](LoaderOptions& o) { o.global_batch = 0; });
  CHECK(batch.code() == ErrorCode::config);
  CHECK_THAT(batch.message(), Contains("The global batch is empty (it is 0)") && Contains("train.global_batch"));
  CHECK_THAT(error_with([](LoaderOptions& o) { o.data.prefetch = 0; }).message(), Contains("data.prefetch is 0"));
  CHECK_THAT(error_with([](LoaderOptions& o) { o.data.workers = -1; }).message(), Contains("data.workers is -1"));
  CHECK_THAT(error_with([](LoaderOptions& o) { o.data.width = 0; }).message(),
             Contains("data.height is 4, data.width is 0"));
  CHECK_THAT(error_with([](LoaderOptions& o) { o.data.random_crop = -2; }).message(),
             Contains("data.random_crop is -2"));
  const Error rank = error_with([](LoaderOptions& o) { o.rank = 1; });
  CHECK(rank.code() == ErrorCode::internal);
  CHECK_THAT(rank.message(), Contains("rank 1 of 1"));
  CHECK_THAT(error_with([](LoaderOptions& o) { o.first_step = -1; }).message(), Contains("first step -1"));
}

// The sanitizers' allocators abort where the real one reports that there is no memory.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("a batch that no memory holds is an error", "[loader]") {
  const MemorySamples source(4, 4, 4);
  LoaderOptions options = small_options(std::int64_t{1} << 22);
  options.data.height = options.data.width = 1 << 15;
  const auto loader = make_loader(source, options);

  const auto [delivered, error] = run_into_error(*loader);

  REQUIRE(delivered == 0);
  REQUIRE(error.code() == ErrorCode::io);
  REQUIRE_THAT(error.message(), Contains("No memory for a batch") && Contains("data.prefetch"));
}
#endif

TEST_CASE("decoding threads are few and never none", "[loader]") {
  REQUIRE(default_workers(1, 1) == 1);
  REQUIRE(default_workers(2, 2) == 1);
  REQUIRE(default_workers(8, 1) == 2);
  REQUIRE(default_workers(16, 2) == 2);
  REQUIRE(default_workers(128, 8) == 4);
  REQUIRE(default_workers(128, 1) == 4);
  REQUIRE(default_workers(4, 64) == 1);
}

}  // namespace plsc::data
