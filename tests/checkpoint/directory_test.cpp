#include <catch2/catch.hpp>
#include <fstream>
#include <set>

#include "checkpoint/snapshots.h"
#include "plsc/checkpoint/checkpoint.h"
#include "plsc/comm/self.h"
#include "support/temp_dir.h"

namespace plsc::checkpoint {

namespace {

using Catch::Matchers::Contains;

void make_checkpoints(const std::filesystem::path& root, const std::vector<std::int64_t>& steps) {
  const auto self = comm::make_self_communicator();
  for (const std::int64_t step : steps) save(make_snapshot(step, {3}, 0), root, *self);
}

std::set<std::string> names_in(const std::filesystem::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) names.insert(entry.path().filename());
  return names;
}

std::filesystem::path latest(const std::filesystem::path& root) { return find_latest(root).value_or("none"); }

}  // namespace

TEST_CASE("find_latest finds the highest step that is complete", "[checkpoint]") {
  const test::TempDir dir;
  make_checkpoints(dir.path(), {2, 100, 30});
  std::filesystem::create_directories(dir / "step_00000200");
  std::filesystem::create_directories(dir / "step_12x");
  std::filesystem::copy(dir / "step_00000030", dir / "step_00000300.tmp", std::filesystem::copy_options::recursive);
  std::filesystem::copy(dir / "step_00000030", dir / "best", std::filesystem::copy_options::recursive);

  CHECK(latest(dir.path()) == dir / "step_00000100");
  CHECK(latest(dir / "best") == dir / "best");
  CHECK(latest(dir / "absent") == "none");
  CHECK(latest(dir / "step_00000200") == "none");
}

TEST_CASE("steps beyond eight digits come after shorter ones", "[checkpoint]") {
  const test::TempDir dir;

  make_checkpoints(dir.path(), {99'999'999, 100'000'000});

  CHECK(latest(dir.path()) == dir / "step_100000000");
}

TEST_CASE("a replaced checkpoint counts while its successor is missing", "[checkpoint]") {
  const test::TempDir dir;
  make_checkpoints(dir.path(), {5});
  std::filesystem::rename(dir / "step_00000005", dir / "step_00000005.old");

  const std::filesystem::path found = latest(dir.path());
  prune(dir.path(), 3, std::nullopt);

  CHECK(found == dir / "step_00000005.old");
  CHECK(names_in(dir.path()) == std::set<std::string>{"step_00000005"});
}

TEST_CASE("prune keeps the newest and the protected, and clears leftovers", "[checkpoint]") {
  const test::TempDir dir;
  make_checkpoints(dir.path(), {1, 2, 3, 4});
  std::filesystem::create_directories(dir / "step_00000009.tmp/inner");
  std::filesystem::copy(dir / "step_00000004", dir / "step_00000004.old", std::filesystem::copy_options::recursive);
  std::filesystem::create_directories(dir / "step_00000000");
  std::filesystem::create_directories(dir / "notes");

  prune(dir.path(), 2, dir / "step_00000001/");

  CHECK(names_in(dir.path()) ==
        std::set<std::string>{"step_00000001", "step_00000003", "step_00000004", "step_00000000", "notes"});
}

TEST_CASE("prune with keep 0 removes no checkpoint", "[checkpoint]") {
  const test::TempDir dir;
  make_checkpoints(dir.path(), {1, 2});
  std::filesystem::create_directories(dir / "step_00000009.tmp");

  prune(dir.path(), 0, std::nullopt);
  prune(dir / "absent", 2, std::nullopt);

  CHECK(names_in(dir.path()) == std::set<std::string>{"step_00000001", "step_00000002"});
}

TEST_CASE("saving a step again replaces it", "[checkpoint]") {
  const test::TempDir dir;
  const auto self = comm::make_self_communicator();
  Snapshot snapshot = make_snapshot(4, {3}, 0);
  save(snapshot, dir.path(), *self);

  snapshot.facts["network"] = "other";
  save(snapshot, dir.path(), *self);

  CHECK(names_in(dir.path()) == std::set<std::string>{"step_00000004"});
  CHECK(read_manifest(dir / "step_00000004").facts.at("network") == "other");
}

TEST_CASE("a directory of the user in the way is an error and stays", "[checkpoint]") {
  const test::TempDir dir;
  const auto self = comm::make_self_communicator();
  std::filesystem::create_directories(dir / "step_00000004");
  std::ofstream(dir / "step_00000004/mine") << "x";

  const std::string text = error_text(ErrorCode::io, [&] { save(make_snapshot(4, {3}, 0), dir.path(), *self); });

  CHECK_THAT(text, Contains("step_00000004 is in the way") && Contains("train.output"));
  CHECK(std::filesystem::exists(dir / "step_00000004/mine"));
}

TEST_CASE("a root that cannot be made is an error", "[checkpoint]") {
  const test::TempDir dir;
  const auto self = comm::make_self_communicator();
  std::ofstream(dir / "file") << "x";

  CHECK_THAT(error_text(ErrorCode::io, [&] { save(make_snapshot(4, {3}, 0), dir / "file/root", *self); }),
             Contains("file/root"));
  CHECK_THAT(error_text(ErrorCode::unavailable, [&] { save(make_snapshot(4, {3}, 0), "s3://b/root", *self); }),
             Contains("'s3'"));
}

}  // namespace plsc::checkpoint
