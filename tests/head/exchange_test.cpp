#include "plsc/head/exchange.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <mutex>
#include <vector>

#include "plsc/comm/self.h"
#include "support/thread_ranks.h"

namespace plsc::head {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Combined {
  SoftmaxTotals totals;
  std::vector<float> softmax;
};

/// One sample's statistics of one rank: max, sum, target.
Combined combine_one(std::vector<float> statistics, std::int64_t label = 0) {
  const auto self = comm::make_self_communicator();
  SoftmaxExchange exchange(*self, 1);
  Combined out;
  out.softmax.resize(3);
  out.totals = exchange.combine(statistics, std::vector<std::int64_t>{label}, out.softmax);
  return out;
}

}  // namespace

TEST_CASE("ranks combine to the softmax over all classes", "[head][exchange]") {
  // Logits of sample 0: rank 0 {1, 3, target 2}, rank 1 {-4}; sample 1: rank 1 {5, target 0.5}, rank 0 {2}.
  const std::vector<std::vector<float>> statistics{
      {3, 2, std::exp(-2.0F) + 1, 1, 2, -kInfinity},
      {-4, 5, 1, 1, -kInfinity, 0.5F},
  };
  const std::vector<std::int64_t> labels{7, 9};
  const double sum0 = std::exp(1) + std::exp(3) + std::exp(2) + std::exp(-4);
  const double sum1 = std::exp(2) + std::exp(5) + std::exp(0.5);
  std::vector<Combined> results(2);
  std::vector<float> others(2);

  test::run_thread_ranks(2, [&](comm::Communicator& communicator) {
    const auto rank = static_cast<std::size_t>(communicator.rank());
    SoftmaxExchange exchange(communicator, 2);
    results[rank].softmax.resize(6);
    results[rank].totals = exchange.combine(statistics[rank], labels, results[rank].softmax);
    if (rank == 0) others = {exchange.other_max(0), exchange.other_max(1)};
  });

  const SoftmaxTotals& totals = results[0].totals;
  CHECK(totals.loss == Approx((std::log(sum0) - 2 + std::log(sum1) - 0.5) / 2));
  CHECK(totals.loss == results[1].totals.loss);
  CHECK(totals.valid == 2);
  CHECK(results[0].softmax == results[1].softmax);
  CHECK(results[0].softmax[0] == Approx(std::log(sum0)));
  CHECK(results[0].softmax[3] == 0.5F);
  CHECK(results[0].softmax[4] == Approx(0.5 * (std::exp(2) / sum0 - 1)));
  CHECK(others == std::vector<float>{3, 5});
}

TEST_CASE("small losses and misses do not cancel", "[head][exchange]") {
  const Combined sure = combine_one({-30, 1, 30});
  const Combined lost = combine_one({64, 1, -64});

  CHECK(sure.totals.loss == Approx(std::exp(-60.0)).epsilon(1e-6));
  CHECK(sure.softmax[2] == Approx(-std::exp(-60.0)).epsilon(1e-6));
  CHECK(lost.totals.loss == Approx(128.0));
  CHECK(lost.softmax[2] == -1.0F);
}

TEST_CASE("a classifier of one class has loss 0", "[head][exchange]") {
  const Combined only = combine_one({-kInfinity, 0, 3});

  CHECK(only.totals.loss == 0.0);
  CHECK(only.totals.finite);
  CHECK(only.softmax == std::vector<float>{3, 1, 0});
}

TEST_CASE("padding counts for nothing, and nothing valid gives 0", "[head][exchange]") {
  const Combined padded = combine_one({1, 2, -kInfinity}, -1);

  CHECK(padded.totals.loss == 0.0);
  CHECK(padded.totals.valid == 0);
  CHECK(padded.totals.finite);
  CHECK(padded.softmax == std::vector<float>{0, 0, 0});
}

TEST_CASE("NaN and infinity reach the loss", "[head][exchange]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();

  CHECK_FALSE(combine_one({1, nan, 1}).totals.finite);
  CHECK_FALSE(combine_one({1, 1, nan}).totals.finite);
  CHECK_FALSE(combine_one({-kInfinity, nan, 1}).totals.finite);
  CHECK_FALSE(combine_one({1, 1, -kInfinity}).totals.finite);
}

}  // namespace plsc::head
