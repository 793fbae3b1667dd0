#include "plsc/eval/verification.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#include "plsc/core/error.h"
#include "plsc/core/random.h"

namespace plsc::eval {

namespace {

using Catch::Matchers::Contains;

struct Golden {
  std::string name;
  std::int64_t pairs = 0;
  std::int64_t dimension = 0;
  double noise = 0;
  std::uint64_t seed = 0;
  std::string quirk;
  std::int64_t same = 0;
  double accuracy = 0, deviation = 0, threshold = 0, auc = 0;
  double tar[6] = {};
};

/// As make_golden.py: uniform in [-1, 1).
double uniform(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed * 0x9E3779B97F4A7C15ULL + index * 0xBF58476D1CE4E5B9ULL + 0x94D049BB133111EBULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) / static_cast<double>(1ULL << 52) - 1.0;
}

struct Pairs {
  std::vector<float> rows;  // [2 * pairs, D]
  std::vector<std::uint8_t> same;
};

void apply_quirk(const std::string& quirk, std::uint64_t row, std::vector<double>& values) {
  if (quirk == "axes" || quirk == "zeros") {
    std::size_t longest = 0;
    for (std::size_t i = 1; i < values.size(); ++i) {
      if (std::abs(values[i]) > std::abs(values[longest])) longest = i;
    }
    const double sign = values[longest] > 0 ? 1.0 : -1.0;
    values.assign(values.size(), 0.0);
    values[longest] = sign;
  }
  if (quirk == "zeros" && row % 7 == 0) values.assign(values.size(), 0.0);
}

/// The embeddings of make_golden.py, bit by bit.
Pairs make_pairs(const Golden& golden) {
  Pairs out;
  std::uint64_t draw = 0;
  const auto dimension = static_cast<std::uint64_t>(golden.dimension);
  for (std::uint64_t pair = 0; pair < static_cast<std::uint64_t>(golden.pairs); ++pair) {
    out.same.push_back((golden.pairs > 10 ? uniform(golden.seed + 1000, pair) < 0.0 : pair % 2 == 0) ? 1 : 0);
    std::vector<double> person;
    for (std::uint64_t side = 0; side < 2; ++side) {
      if (person.empty() || out.same.back() == 0) {
        person.clear();
        for (std::uint64_t i = 0; i < dimension; ++i) person.push_back(uniform(golden.seed, draw + i));
        draw += dimension;
      }
      std::vector<double> values = person;
      for (std::uint64_t i = 0; i < dimension; ++i) values[i] += golden.noise * uniform(golden.seed, draw + i);
      draw += dimension;
      apply_quirk(golden.quirk, 2 * pair + side, values);
      for (const double value : values) out.rows.push_back(static_cast<float>(value));
    }
  }
  return out;
}

std::vector<Golden> read_golden() {
  std::ifstream file(std::string(PLSC_SOURCE_DIR) + "/tests/eval/golden_verification.txt");
  std::vector<Golden> all;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream stream(line);
    Golden golden;
    stream >> golden.name >> golden.pairs >> golden.dimension >> golden.noise >> golden.seed >> golden.quirk >>
        golden.same >> golden.accuracy >> golden.deviation >> golden.threshold >> golden.auc;
    for (double& tar : golden.tar) stream >> tar;
    REQUIRE(stream);
    all.push_back(golden);
  }
  return all;
}

/// Pairs on a circle at given squared distances.
std::vector<float> rows_at(const std::vector<double>& distances) {
  std::vector<float> rows;
  for (const double distance : distances) {
    const double cosine = 1 - distance / 2;
    rows.insert(rows.end(),
                {1.0F, 0.0F, static_cast<float>(cosine), static_cast<float>(std::sqrt(1 - cosine * cosine))});
  }
  return rows;
}

}  // namespace

TEST_CASE("verification gives the numbers of the protocol in numpy", "[verification]") {
  const std::vector<Golden> all = read_golden();
  REQUIRE(all.size() == 7);

  for (const Golden& golden : all) {
    CAPTURE(golden.name);
    const Pairs pairs = make_pairs(golden);

    const VerificationResult result = verify(pairs.rows, golden.dimension, pairs.same, 3.5);

    CHECK(result.pairs == golden.pairs);
    CHECK(result.same == golden.same);
    CHECK(result.folds == std::min<std::int64_t>(10, golden.pairs));
    CHECK(result.accuracy == Approx(golden.accuracy).epsilon(1e-12));
    CHECK(result.deviation == Approx(golden.deviation).epsilon(1e-10));
    CHECK(result.threshold == Approx(golden.threshold).epsilon(1e-12));
    CHECK(result.auc == Approx(golden.auc).epsilon(1e-12));
    CHECK(result.xnorm == 3.5);
    REQUIRE(result.tar_at_far.size() == 6);
    for (std::size_t i = 0; i < 6; ++i) CHECK(result.tar_at_far[i].tar == Approx(golden.tar[i]).margin(1e-12));
  }
}

TEST_CASE("the scale of an embedding does not matter", "[verification]") {
  Pairs pairs = make_pairs({"scaled", 50, 4, 1.0, 9, "none"});
  const VerificationResult before = verify(pairs.rows, 4, pairs.same, 0);
  for (std::size_t i = 0; i < pairs.rows.size(); ++i) pairs.rows[i] *= i / 4 % 2 == 0 ? 8.0F : 0.25F;

  const VerificationResult after = verify(pairs.rows, 4, pairs.same, 0);

  CHECK(after.accuracy == before.accuracy);
  CHECK(after.threshold == before.threshold);
  CHECK(after.auc == before.auc);
}

TEST_CASE("a false accept rate is supported from 1/rate different pairs on", "[verification]") {
  for (const auto& [different, supported] :
       {std::pair{99, 1}, std::pair{100, 2}, std::pair{999, 2}, std::pair{1000, 3}}) {
    CAPTURE(different);
    std::vector<double> distances(static_cast<std::size_t>(different), 2.0);
    distances.push_back(0.5);
    std::vector<std::uint8_t> same(static_cast<std::size_t>(different), 0);
    same.push_back(1);

    const VerificationResult result = verify(rows_at(distances), 2, same, 0);

    int count = 0;
    for (const TarAtFar& point : result.tar_at_far) count += point.supported ? 1 : 0;
    CHECK(count == supported);
  }
}

TEST_CASE("the true accept rate counts pairs nearer than the first different pair too many", "[verification]") {
  // Ten different pairs at 0.5, 1.0, 1.1, ...: at 1e-1 one may be accepted, so everything below 1.0 is.
  const std::vector<double> distances = {0.5, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 0.25, 0.75, 1.05, 1.95};
  std::vector<std::uint8_t> same(10, 0);
  same.resize(14, 1);

  const VerificationResult result = verify(rows_at(distances), 2, same, 0);

  CHECK(result.tar_at_far[0].tar == 0.5);   // 0.25 and 0.75 of four
  CHECK(result.tar_at_far[1].tar == 0.25);  // none may be accepted: only 0.25
  CHECK(result.tar_at_far[0].supported);
  CHECK_FALSE(result.tar_at_far[1].supported);
}

TEST_CASE("perfectly separated pairs score 1, equal embeddings 1/2", "[verification]") {
  std::vector<double> distances(20, 0.1);
  std::vector<std::uint8_t> same(20, 1);
  for (std::size_t i = 0; i < 20; i += 2) {
    distances[i] = 3.0;
    same[i] = 0;
  }

  const VerificationResult separated = verify(rows_at(distances), 2, same, 0);
  const VerificationResult collapsed = verify(rows_at(std::vector<double>(20, 0.0)), 2, same, 0);

  CHECK(separated.accuracy == Approx(1.0));
  CHECK(separated.deviation == Approx(0.0).margin(1e-12));
  CHECK(separated.auc == 1.0);
  CHECK(separated.tar_at_far[0].tar == 1.0);
  CHECK(collapsed.accuracy == Approx(0.5));
  CHECK(collapsed.auc == 0.5);
}

TEST_CASE("two pairs are verified with two folds", "[verification]") {
  const VerificationResult result = verify(rows_at({0.2, 3.0}), 2, std::vector<std::uint8_t>{1, 0}, 0);

  CHECK(result.folds == 2);
  CHECK(result.auc == 1.0);
  CHECK(result.accuracy >= 0);
}

TEST_CASE("verification refuses what it cannot judge", "[verification]") {
  std::vector<float> rows = rows_at({0.2, 3.0, 1.0});
  const std::vector<std::uint8_t> all_same(3, 1);
  const std::vector<std::uint8_t> none_same(3, 0);
  const std::vector<std::uint8_t> mixed = {1, 0, 1};

  CHECK_THROWS_WITH(verify(rows, 2, all_same, 0), Contains("needs same and different ones (3 are same)"));
  CHECK_THROWS_WITH(verify(rows, 2, none_same, 0), Contains("(0 are same)"));
  CHECK_THROWS_WITH(verify({}, 2, {}, 0), Contains("0 pairs"));
  CHECK_THROWS_WITH(verify(rows, 3, mixed, 0), Contains("12 embedding values of dimension 3 for 3 pairs"));
  rows[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(verify(rows, 2, mixed, 0), Contains("embedding of image 3 (pair 1) is not finite"));
}

}  // namespace plsc::eval
