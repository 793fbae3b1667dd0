#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <mutex>
#include <set>

#include "checkpoint/snapshots.h"
#include "checkpoint/watched_storage.h"
#include "plsc/checkpoint/checkpoint.h"
#include "plsc/checkpoint/safetensors.h"
#include "plsc/comm/self.h"
#include "support/temp_dir.h"
#include "support/thread_ranks.h"

namespace plsc::checkpoint {

namespace {

using Catch::Matchers::Contains;

const std::vector<Split> kSplits{{13}, {7, 6}, {0, 13}, {5, 4, 4}, {4, 4, 4, 1}, {1, 0, 12, 0}};

std::filesystem::path save_with(const Split& split, std::int64_t step, const storage::Location& root) {
  std::filesystem::path directory;
  test::run_thread_ranks(static_cast<int>(split.size()), [&](comm::Communicator& communicator) {
    const Snapshot snapshot = make_snapshot(step, split, communicator.rank());
    const std::filesystem::path written = save(snapshot, root, communicator);
    if (communicator.rank() == 0) directory = written;
  });
  return directory;
}

std::set<std::string> names_in(const std::filesystem::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) names.insert(entry.path().filename());
  return names;
}

}  // namespace

TEST_CASE("any number of ranks loads what any number saved, bit for bit", "[checkpoint]") {
  for (const Split& from : kSplits) {
    const test::TempDir dir;
    const std::filesystem::path directory = save_with(from, 1000, dir.path());
    for (const Split& to : kSplits) {
      std::vector<char> equal(to.size());

      test::run_thread_ranks(static_cast<int>(to.size()), [&](comm::Communicator& communicator) {
        Snapshot loaded = make_snapshot(1, to, communicator.rank());
        load(directory, loaded, communicator);
        equal[static_cast<std::size_t>(communicator.rank())] =
            same(loaded, make_snapshot(1000, to, communicator.rank()));
      });

      CHECK(std::count(equal.begin(), equal.end(), 1) == static_cast<std::ptrdiff_t>(to.size()));
    }
  }
}

TEST_CASE("a checkpoint has the documented files and facts", "[checkpoint]") {
  const test::TempDir dir;

  const std::filesystem::path directory = save_with({4, 4, 5}, 1000, dir.path());
  const Manifest manifest = read_manifest(directory);

  CHECK(directory == dir / "step_00001000");
  CHECK(names_in(dir.path()) == std::set<std::string>{"step_00001000"});
  CHECK(names_in(directory) == std::set<std::string>{"manifest.json", "config.yaml", "backbone.safetensors",
                                                     "optimizer.safetensors", "head-00000-of-00003.safetensors",
                                                     "head-00001-of-00003.safetensors",
                                                     "head-00002-of-00003.safetensors"});
  CHECK(manifest.directory == directory);
  CHECK(manifest.step == 1000);
  CHECK(manifest.samples == 96000);
  CHECK(manifest.world_size == 3);
  CHECK(manifest.facts.at("num_classes") == "13");
  CHECK(manifest.tuned_choices.at("threads") == "2");
  CHECK(manifest.metrics.at("lfw/accuracy") == 0.1 + 0.2);
  CHECK(read_config(directory) == "train:\n  seed: 7\n");
}

TEST_CASE("load returns the manifest and leaves other fields alone", "[checkpoint]") {
  const test::TempDir dir;
  const auto self = comm::make_self_communicator();
  const std::filesystem::path directory = save_with({13}, 1000, dir.path());

  Snapshot loaded = make_snapshot(1, {13}, 0);
  const Manifest manifest = load(directory, loaded, *self);

  CHECK(manifest.step == 1000);
  CHECK(loaded.step == 1);
}

TEST_CASE("metrics that are no numbers survive", "[checkpoint]") {
  const test::TempDir dir;
  const auto self = comm::make_self_communicator();
  Snapshot snapshot = make_snapshot(5, {3}, 0);
  snapshot.metrics = {{"a", std::nan("")}, {"b", INFINITY}, {"c", -INFINITY}};

  const Manifest manifest = read_manifest(save(snapshot, dir.path(), *self));

  CHECK(std::isnan(manifest.metrics.at("a")));
  CHECK(manifest.metrics.at("b") == INFINITY);
  CHECK(manifest.metrics.at("c") == -INFINITY);
}

TEST_CASE("empty groups and an empty config are saved and loaded", "[checkpoint]") {
  const test::TempDir dir;
  const auto self = comm::make_self_communicator();
  Snapshot snapshot;
  snapshot.backbone = {whole_tensor("w", {2, 0}, DType::f32, 1)};

  const std::filesystem::path directory = save(snapshot, dir.path(), *self);
  load(directory, snapshot, *self);

  CHECK(directory.filename() == "step_00000000");
  CHECK(read_config(directory).empty());
}

TEST_CASE("loading at another world size reads only the blocks it needs", "[checkpoint]") {
  constexpr std::int64_t kMiB = 1 << 20;
  const test::TempDir dir;
  const Split from{7, 6};
  const Split to{5, 4, 4};
  const auto wide = [&](const Split& split, int rank, std::int64_t step) {  // rows of 1 MiB, so 4 rows a block
    Snapshot snapshot;
    snapshot.step = step;
    snapshot.head = {shard("weight", split, rank, kMiB / 4, step)};
    return snapshot;
  };
  test::run_thread_ranks(
      2, [&](comm::Communicator& communicator) { save(wide(from, communicator.rank(), 9), dir.path(), communicator); });
  std::vector<Watch> watches(to.size());
  std::vector<char> equal(to.size());

  test::run_thread_ranks(3, [&](comm::Communicator& communicator) {
    const auto rank = static_cast<std::size_t>(communicator.rank());
    Snapshot loaded = wide(to, communicator.rank(), 1);
    load(watched(dir / "step_00000009", watches[rank]), loaded, communicator);
    equal[rank] = same(loaded, wide(to, communicator.rank(), 9));
  });

  // Blocks by global rows: 0-4, 4-7 in the first file, 7-11, 11-13 in the second.
  const std::vector<std::int64_t> expected{7, 3 + 4, 4 + 2};
  for (std::size_t rank = 0; rank < to.size(); ++rank) {
    CHECK(equal[rank]);
    CHECK(watches[rank].bytes_read / kMiB == static_cast<std::uint64_t>(expected[rank]));
    CHECK(watches[rank].bytes_read % kMiB < 8192);  // headers, and rank 0's manifest
  }
}

TEST_CASE("a rank without rows reads no tensor at all", "[checkpoint]") {
  const test::TempDir dir;
  const std::filesystem::path directory = save_with({7, 6}, 2, dir.path());
  std::vector<Watch> watches(2);

  test::run_thread_ranks(2, [&](comm::Communicator& communicator) {
    Snapshot loaded = make_snapshot(1, {13, 0}, communicator.rank());
    load(watched(directory, watches[static_cast<std::size_t>(communicator.rank())]), loaded, communicator);
  });

  CHECK(watches[0].bytes_read > 0);
  CHECK(watches[1].bytes_read == 0);
}

TEST_CASE("the backbone loads alone", "[checkpoint]") {
  const test::TempDir dir;
  const std::filesystem::path directory = save_with({7, 6}, 1000, dir.path());
  std::vector<NamedTensor> backbone = make_snapshot(1, {1}, 0).backbone;

  load_backbone(directory, backbone);

  const std::vector<NamedTensor> expected = make_snapshot(1000, {1}, 0).backbone;
  for (std::size_t i = 0; i < backbone.size(); ++i) CHECK(same(backbone[i].tensor, expected[i].tensor));
}

TEST_CASE("surplus tensors may be ignored on request", "[checkpoint]") {
  const test::TempDir dir;
  const auto self = comm::make_self_communicator();
  const std::filesystem::path directory = save_with({7, 6}, 1000, dir.path());
  Snapshot wanted = make_snapshot(1, {13}, 0);
  wanted.optimizer.clear();
  wanted.head.resize(1);

  load(directory, wanted, *self, Surplus::ignore);

  CHECK(same(wanted.head[0].tensor, make_snapshot(1000, {13}, 0).head[0].tensor));
}

TEST_CASE("tensors that do not fit are listed by name", "[checkpoint]") {
  const test::TempDir dir;
  const auto self = comm::make_self_communicator();
  const std::filesystem::path directory = save_with({13}, 1000, dir.path());
  const auto load_text = [&](Snapshot snapshot) {
    return error_text(ErrorCode::checkpoint, [&] { load(directory, snapshot, *self); });
  };
  Snapshot missing = make_snapshot(1, {13}, 0);
  for (const char* name : {"n1", "n2", "n3", "n4", "n5"}) {
    missing.backbone.push_back(whole_tensor(name, {1}, DType::f32, 1));
  }
  Snapshot surplus = make_snapshot(1, {13}, 0);
  surplus.optimizer.clear();
  Snapshot shape = make_snapshot(1, {13}, 0);
  shape.backbone[0] = whole_tensor("conv1.weight", {4, 3, 5, 5}, DType::f32, 1);
  Snapshot dtype = make_snapshot(1, {13}, 0);
  dtype.backbone[1] = whole_tensor("bn1.weight", {4}, DType::f16, 1);

  CHECK_THAT(load_text(missing),
             Contains("5 missing in the checkpoint (n1, n2, n3, n4, ...)") && Contains("step_00001000"));
  CHECK_THAT(load_text(surplus), Contains("1 only in the checkpoint (conv1.weight.momentum)"));
  CHECK_THAT(load_text(shape), Contains("conv1.weight: f32 [4, 3, 3, 3] in the checkpoint, f32 [4, 3, 5, 5] here"));
  CHECK_THAT(load_text(dtype), Contains("bn1.weight: f32 [4] in the checkpoint, f16 [4] here"));
  CHECK_THAT(load_text(make_snapshot(1, {14}, 0)),
             Contains("head weight: f32 [13, 5] in the checkpoint, f32 [14, 5] here") && Contains("train.init_from") &&
                 Contains("loading checkpoint"));
  CHECK_THAT(error_text(ErrorCode::checkpoint, [&] { load_backbone(directory, missing.backbone); }), Contains("n1"));
}

TEST_CASE("one rank's misfit is every rank's error", "[checkpoint]") {
  const test::TempDir dir;
  const std::filesystem::path directory = save_with({13}, 1000, dir.path());
  std::vector<std::string> texts(3);

  test::run_thread_ranks(3, [&](comm::Communicator& communicator) {
    const int rank = communicator.rank();
    Snapshot snapshot = make_snapshot(1, {5, 4, 4}, rank);
    if (rank == 1) snapshot.head[0].name = "other";
    texts[static_cast<std::size_t>(rank)] =
        error_text(ErrorCode::checkpoint, [&] { load(directory, snapshot, communicator); });
  });

  CHECK_THAT(texts[0], Contains("head other") && Contains("rank 1 of 3"));
  CHECK(texts[1] == texts[0]);
  CHECK(texts[2] == texts[0]);
}

TEST_CASE("facts that differ are all listed", "[checkpoint]") {
  const test::TempDir dir;
  const Manifest manifest = read_manifest(save_with({13}, 1000, dir.path()));

  require_match(manifest, {{"network", "iresnet18"}, {"num_classes", "13"}});
  const std::string text = error_text(ErrorCode::checkpoint, [&] {
    require_match(manifest,
                  {{"network", "iresnet50"}, {"embedding", "512"}, {"num_classes", "20"}, {"loss", "arcface"}});
  });

  CHECK_THAT(text, Contains("network: checkpoint 'iresnet18', this run 'iresnet50'") &&
                       Contains("num_classes: checkpoint '13', this run '20'") &&
                       Contains("loss: checkpoint not recorded, this run 'arcface'") && !Contains("embedding:") &&
                       Contains("train.init_from") && Contains("step_00001000"));
}

TEST_CASE("tensors that cannot be saved are refused by name", "[checkpoint]") {
  const test::TempDir dir;
  const auto self = comm::make_self_communicator();
  const auto save_text = [&](const Snapshot& snapshot) {
    return error_text(ErrorCode::internal, [&] { save(snapshot, dir.path(), *self); });
  };
  Snapshot undefined = make_snapshot(1, {3}, 0);
  undefined.backbone[0].tensor = Tensor();
  Snapshot blocked = make_snapshot(1, {3}, 0);
  blocked.backbone[0].tensor = Tensor(heap_memory(), {1, 8, 2, 2}, DType::f32, Layout::blocked, 8);
  Snapshot twice = make_snapshot(1, {3}, 0);
  twice.backbone.push_back(twice.backbone[0]);
  Snapshot scalar = make_snapshot(1, {3}, 0);
  scalar.head[0].tensor = Tensor(heap_memory(), {}, DType::f32);
  Snapshot gap = make_snapshot(1, {3}, 0);
  gap.head[0].total = 5;

  CHECK_THAT(save_text(undefined), Contains("'conv1.weight'") && Contains("no memory"));
  CHECK_THAT(save_text(blocked), Contains("'conv1.weight'") && Contains("blocked"));
  CHECK_THAT(save_text(twice), Contains("conv1.weight") && Contains("two tensors"));
  CHECK_THAT(save_text(scalar), Contains("'weight'") && Contains("needs rows"));
  CHECK_THAT(save_text(gap), Contains("rows 3 to 5 of head 'weight' are missing"));
  CHECK(names_in(dir.path()).empty());
}

TEST_CASE("tensors that cannot be loaded are refused by name", "[checkpoint]") {
  const test::TempDir dir;
  const auto self = comm::make_self_communicator();
  const std::filesystem::path directory = save_with({13}, 1, dir.path());
  Snapshot undefined = make_snapshot(1, {13}, 0);
  undefined.backbone[0].tensor = Tensor();
  Snapshot twice = make_snapshot(1, {13}, 0);
  twice.backbone.push_back(twice.backbone[0]);

  CHECK_THAT(error_text(ErrorCode::internal, [&] { load(directory, undefined, *self); }),
             Contains("'conv1.weight' cannot be loaded"));
  CHECK_THAT(error_text(ErrorCode::internal, [&] { load(directory, twice, *self); }),
             Contains("two tensors to load are named 'conv1.weight'"));
}

TEST_CASE("ranks that save different steps are told so", "[checkpoint]") {
  const test::TempDir dir;
  std::vector<std::string> texts(2);

  test::run_thread_ranks(2, [&](comm::Communicator& communicator) {
    const Snapshot snapshot = make_snapshot(10 + communicator.rank(), {2, 2}, communicator.rank());
    texts[static_cast<std::size_t>(communicator.rank())] =
        error_text(ErrorCode::internal, [&] { save(snapshot, dir.path(), communicator); });
  });

  CHECK_THAT(texts[0], Contains("different steps (rank 0: 10, rank 1: 11)"));
  CHECK(texts[1] == texts[0]);
}

TEST_CASE("ranks that do not share a file system are told so", "[checkpoint]") {
  const test::TempDir shared;
  const test::TempDir separate;
  std::vector<std::string> texts(2);

  test::run_thread_ranks(2, [&](comm::Communicator& communicator) {
    const int rank = communicator.rank();
    const Snapshot snapshot = make_snapshot(10, {2, 2}, rank);
    texts[static_cast<std::size_t>(rank)] =
        error_text(ErrorCode::io, [&] { save(snapshot, rank == 0 ? shared.path() : separate.path(), communicator); });
  });

  CHECK_THAT(texts[0], Contains("head-00001-of-00002") && Contains("rank 1") && Contains("do not share") &&
                           Contains("train.output"));
  CHECK_FALSE(find_latest(shared.path()).has_value());
}

}  // namespace plsc::checkpoint
