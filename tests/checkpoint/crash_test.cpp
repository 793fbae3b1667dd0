// Every operation of save and prune fails once, and is the last one before a crash: afterwards the newest checkpoint is
// the old or the new one, whole, and the next save works.

#include <catch2/catch.hpp>

#include "checkpoint/memory_storage.h"
#include "checkpoint/snapshots.h"
#include "checkpoint/watched_storage.h"
#include "plsc/checkpoint/checkpoint.h"
#include "plsc/comm/self.h"
#include "support/temp_dir.h"
#include "support/thread_ranks.h"

namespace plsc::checkpoint {

namespace {

using Catch::Matchers::Contains;

constexpr int kMaxOperations = 200;
const Split kRows{3};

/// `step` is where a checkpoint is written, `content` what is in it.
Snapshot snapshot_of(std::int64_t step, std::int64_t content) {
  Snapshot snapshot = make_snapshot(content, kRows, 0);
  snapshot.step = step;
  return snapshot;
}

/// A fresh place that forgets what was not synced.
storage::Location memory() { return {std::make_shared<MemoryStorage>(), "/run/checkpoints"}; }

/// Content of the newest checkpoint, which must load; 0 if there is none.
std::int64_t newest_content(const storage::Location& root) {
  const auto latest = find_latest(root);
  if (!latest) return 0;
  const auto self = comm::make_self_communicator();
  Snapshot loaded = make_snapshot(0, kRows, 0);
  const Manifest manifest = load({root.storage, *latest}, loaded, *self);
  const auto content = static_cast<std::int64_t>(manifest.metrics.at("loss"));
  REQUIRE(same(loaded, make_snapshot(content, kRows, 0)));
  REQUIRE(read_config({root.storage, *latest}) == loaded.config_yaml);
  return content;
}

/// Saves `content` at `step` onto what `prepare` made, failing at operation 1, 2, ... until none is left to fail.
/// Returns the number of operations.
int for_every_operation(Fault fault, std::int64_t step, std::int64_t before, bool prepared) {
  const auto self = comm::make_self_communicator();
  for (int operation = 1; operation < kMaxOperations; ++operation) {
    const storage::Location root = memory();
    if (prepared) save(snapshot_of(7, before), root, *self);
    Watch watch{operation, fault, 0, 0};
    bool thrown = false;

    try {
      save(snapshot_of(step, 99), watched(root, watch), *self);
    } catch (const Error& error) {
      thrown = true;
      REQUIRE_THAT(error.what(), Contains("injected failure") && Contains("saving checkpoint"));
    }

    INFO("operation " << operation);
    const std::int64_t content = newest_content(root);
    if (thrown) {
      REQUIRE((content == before || content == 99));
      const bool restores = fault == Fault::once && prepared;  // under its own name, too
      if (restores) REQUIRE_FALSE(find_latest(root)->string().ends_with(".old"));
    } else {
      REQUIRE(content == 99);
    }
    save(snapshot_of(step, 50), root, *self);
    REQUIRE(newest_content(root) == 50);
    prune(root, 1, std::nullopt);
    REQUIRE(root.storage->list(root.path).size() == 1);
    if (watch.operations < operation) return operation - 1;
  }
  return kMaxOperations;
}

}  // namespace

TEST_CASE("a failing operation leaves the old checkpoint or the new one", "[checkpoint][crash]") {
  const Fault fault = GENERATE(Fault::once, Fault::crash);

  SECTION("first checkpoint") { CHECK(for_every_operation(fault, 7, 0, false) > 20); }
  SECTION("a later step") { CHECK(for_every_operation(fault, 8, 1, true) > 20); }
  SECTION("the same step again") { CHECK(for_every_operation(fault, 7, 1, true) > 20); }
}

TEST_CASE("after an error nothing looks complete that was not there before", "[checkpoint][crash]") {
  const auto self = comm::make_self_communicator();
  int last_failing = 0;
  for (int operation = 1; operation < kMaxOperations; ++operation) {
    const storage::Location root = memory();
    Watch watch{operation, Fault::once, 0, 0};
    bool thrown = false;
    try {
      save(snapshot_of(7, 99), watched(root, watch), *self);
    } catch (const Error&) {
      thrown = true;
    }
    if (watch.operations < operation) break;
    last_failing = operation;

    // The very last operation syncs the root: the checkpoint stands, only its name may not be durable yet.
    if (thrown && find_latest(root)) {
      Watch count;
      const storage::Location other = memory();
      save(snapshot_of(7, 99), watched(other, count), *self);
      CHECK(operation == count.operations);
    }
  }
  CHECK(last_failing > 20);
}

TEST_CASE("one rank's failure is every rank's error and names the rank", "[checkpoint][crash]") {
  const Split split{2, 0, 3};
  for (int failing = 0; failing < 3; ++failing) {
    int operation = 1;
    for (bool failed = true; failed; operation += 3) {  // every third operation: the loop above has them all
      const test::TempDir dir;
      std::vector<Watch> watches(3);
      watches[static_cast<std::size_t>(failing)].fail_at = operation;
      std::vector<std::string> texts(3);

      test::run_thread_ranks(3, [&](comm::Communicator& communicator) {
        const auto rank = static_cast<std::size_t>(communicator.rank());
        try {
          save(make_snapshot(4, split, communicator.rank()), watched(dir.path(), watches[rank]), communicator);
        } catch (const CollectiveError& error) {
          texts[rank] = error.what();
        }
      });

      failed = watches[static_cast<std::size_t>(failing)].operations >= operation;
      REQUIRE(texts[1] == texts[0]);
      REQUIRE(texts[2] == texts[0]);
      if (!texts[0].empty()) {
        REQUIRE_THAT(texts[0], Contains("injected failure") && Contains("rank " + std::to_string(failing) + " of 3"));
        REQUIRE_FALSE(std::filesystem::exists(dir / "step_00000004.tmp/manifest.json"));
      } else {
        REQUIRE(find_latest(dir.path()).has_value());
      }
    }
    CHECK(operation > 4);
  }
}

TEST_CASE("a crash while pruning leaves only whole checkpoints", "[checkpoint][crash]") {
  const Fault fault = GENERATE(Fault::once, Fault::crash);
  const auto self = comm::make_self_communicator();
  int operations = 0;
  for (int operation = 1; operation < kMaxOperations; ++operation) {
    const storage::Location root = memory();
    for (const std::int64_t step : {1, 2, 3}) save(snapshot_of(step, step), root, *self);
    for (const char* name : {"step_00000002.old", "step_00000009.tmp"}) {
      const storage::Location other{root.storage, "/other"};
      root.storage->rename(save(snapshot_of(2, 2), other, *self), root.path / name);
    }
    Watch watch{operation, fault, 0, 0};
    try {
      prune(watched(root, watch), 1, std::nullopt);
    } catch (const Error&) {
    }

    while (const auto latest = find_latest(root)) {  // from the newest to the oldest
      newest_content(root);
      root.storage->remove_all(*latest);
    }

    operations = watch.operations;
    if (watch.operations < operation) break;
  }
  CHECK(operations > 10);
}

TEST_CASE("a failing read is an error of all ranks, at any operation", "[checkpoint][crash]") {
  const storage::Location root = memory();
  const auto self = comm::make_self_communicator();
  const storage::Location directory{root.storage, save(snapshot_of(7, 1), root, *self)};
  int operation = 1;
  for (bool failed = true; failed; ++operation) {
    Watch watch{operation, Fault::once, 0, 0};
    Snapshot loaded = make_snapshot(0, kRows, 0);
    failed = false;
    try {
      load(watched(directory, watch), loaded, *self);
    } catch (const Error& error) {
      failed = true;
      REQUIRE(error.code() == ErrorCode::io);
    }
  }

  CHECK(operation > 10);
}

}  // namespace plsc::checkpoint
