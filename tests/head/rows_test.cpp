// Row shards, class stores, selectors, maps and tile plans.

#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <vector>

#include "plsc/backend/cpu.h"
#include "plsc/core/error.h"
#include "plsc/head/margin_config.h"
#include "plsc/head/tile_plan.h"
#include "support/team.h"

namespace plsc::head {

TEST_CASE("shards are contiguous and the first ranks take the remainder", "[head][rows]") {
  const std::int64_t total = GENERATE(0, 1, 3, 10, 85742);
  const int world = GENERATE(1, 2, 3, 4, 7);
  std::int64_t next = 0;
  std::int64_t last_size = total;

  for (int rank = 0; rank < world; ++rank) {
    const RowShard shard = shard_rows(total, rank, world);
    CHECK(shard.begin == next);
    CHECK(shard.size <= last_size);
    CHECK(shard.size == total / world + (rank < total % world ? 1 : 0));
    CHECK(shard.total == total);
    next += shard.size;
    last_size = shard.size;
  }

  CHECK(next == total);
}

TEST_CASE("class rows depend on seed and class only", "[head][rows]") {
  const int threads = GENERATE(1, test::kTeam);
  const auto cpu = backend::make_cpu_backend({threads, {}});
  const auto one = backend::make_cpu_backend({1, {}});
  const ClassStoreOptions options{16, 5, 0.02F, true, true};
  const auto whole = make_device_class_store(options, shard_rows(9001, 0, 1), *one);
  const auto part = make_device_class_store(options, shard_rows(9001, 2, 3), *cpu);

  const auto all = whole->state()[0].tensor.host_span<float>();
  const auto some = part->state()[0].tensor.host_span<float>();

  CHECK(part->shard().begin == 6001);
  REQUIRE(some.size() == 3000U * 16U);
  CHECK(std::equal(some.begin(), some.end(), all.begin() + 6001 * 16));
  const double mean = std::accumulate(all.begin(), all.end(), 0.0) / static_cast<double>(all.size());
  double squares = 0;
  for (const float value : all) squares += static_cast<double>(value) * static_cast<double>(value);
  CHECK(mean == Approx(0).margin(3e-4));
  CHECK(std::sqrt(squares / static_cast<double>(all.size())) == Approx(0.02).epsilon(0.02));
}

TEST_CASE("a class store names its state and lends views of it", "[head][rows]") {
  const auto cpu = backend::make_cpu_backend({1, {}});
  const auto full = make_device_class_store({4, 5, 0.02F, true, true}, shard_rows(10, 1, 2), *cpu);
  const auto bare = make_device_class_store({4, 5, 0.02F, false, false}, shard_rows(10, 1, 2), *cpu);

  const backend::ClassRows rows = full->rows(2, 3);

  std::vector<std::string> names;
  for (const RowState& state : full->state()) {
    names.push_back(state.name);
    CHECK(state.tensor.shape()[0] == 5);
    if (state.name != "weight") CHECK(state.tensor.host_span<float>()[0] == 0.0F);
  }
  CHECK(names == std::vector<std::string>{"weight", "bias", "weight.momentum", "bias.momentum"});
  CHECK(rows.size == 3);
  CHECK(rows.weight.data<float>() == full->state()[0].tensor.data<float>() + 2 * 4);
  CHECK(rows.bias_momentum.data<float>() == full->state()[3].tensor.data<float>() + 2);
  CHECK(bare->state().size() == 1);
  CHECK_FALSE(bare->rows(0, 5).bias.defined());
  CHECK_FALSE(bare->rows(0, 5).weight_momentum.defined());
}

TEST_CASE("labels map to slots of all rows or of a list", "[head][rows]") {
  const RowShard shard{10, 5, 40};
  const std::vector<std::int64_t> list{0, 2, 3, -1, -1};
  const RowMap all(shard, {5, {}});
  const RowMap some(shard, {3, list});

  CHECK(all.slot(-1) == -1);
  CHECK(all.slot(9) == -1);
  CHECK(all.slot(10) == 0);
  CHECK(all.slot(14) == 4);
  CHECK(all.slot(15) == -1);
  CHECK(some.slot(10) == 0);
  CHECK(some.slot(11) == -1);
  CHECK(some.slot(12) == 1);
  CHECK(some.slot(13) == 2);
  CHECK(some.slot(14) == -1);
}

TEST_CASE("tiles are runs of neighbouring rows", "[head][rows]") {
  std::vector<TileRun> runs;
  const std::vector<std::int64_t> list{1, 2, 3, 4, 7, 9, 10, -1};

  plan_tiles({10, {}}, 4, runs);
  CHECK(runs.size() == 3);
  CHECK(runs[2].first_slot == 8);
  CHECK(runs[2].size == 2);

  plan_tiles({7, list}, 3, runs);
  REQUIRE(runs.size() == 4);
  CHECK(runs[0].first_row == 1);
  CHECK(runs[0].size == 3);
  CHECK(runs[1].first_row == 4);
  CHECK(runs[1].size == 1);
  CHECK(runs[2].first_slot == 4);
  CHECK(runs[3].first_row == 9);
  CHECK(runs[3].size == 2);

  plan_tiles({0, {}}, 4, runs);
  CHECK(runs.empty());
}

TEST_CASE("kept logits stay within the workspace", "[head][rows]") {
  CHECK(kept_slots(1, 256, 1000) == 0);
  CHECK(kept_slots(256 * 4 * 10 + 1, 256, 1000) == 10);
  CHECK(kept_slots(1 << 30, 256, 1000) == 1000);
  CHECK(kept_slots(0, 256, std::int64_t{1} << 40) == (std::int64_t{256} << 20) / 1024);
}

TEST_CASE("losses become margins", "[head][margin]") {
  config::HeadConfig config;
  config.margin = 0.4F;
  config.m1 = 0.9F;
  config.m3 = 0.1F;

  config.loss = config::Loss::arcface;
  CHECK(margin_spec(config).m1 == 1.0F);
  CHECK(margin_spec(config).m2 == 0.4F);
  CHECK(margin_spec(config).m3 == 0.0F);
  config.loss = config::Loss::cosface;
  CHECK(margin_spec(config).m2 == 0.0F);
  CHECK(margin_spec(config).m3 == 0.4F);
  config.loss = config::Loss::combined;
  config.gradient = config::MarginGradient::straight_through;
  CHECK(margin_spec(config).m1 == 0.9F);
  CHECK(margin_spec(config).m2 == 0.4F);
  CHECK(margin_spec(config).m3 == 0.1F);
  CHECK(margin_spec(config).straight_through);
  config.loss = config::Loss::softmax;
  config.bias = true;
  CHECK(margin_spec(config).kind == backend::MarginKind::softmax);
}

TEST_CASE("settings a loss does not have are config errors", "[head][margin][errors]") {
  config::HeadConfig bias;
  bias.bias = true;
  config::HeadConfig scale;
  scale.scale = 0;
  config::HeadConfig factor;
  factor.loss = config::Loss::combined;
  factor.m1 = -1;

  CHECK_THROWS_WITH(margin_spec(bias), Catch::Contains("head.bias") && Catch::Contains("softmax"));
  CHECK_THROWS_WITH(margin_spec(scale), Catch::Contains("head.scale is 0"));
  CHECK_THROWS_WITH(margin_spec(factor), Catch::Contains("head.m1 is -1"));
}

}  // namespace plsc::head
