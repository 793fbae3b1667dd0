#include "plsc/eval/report.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace plsc::eval {

namespace {

std::vector<NamedResult> example() {
  VerificationResult lfw;
  lfw.pairs = 6000;
  lfw.same = 3000;
  lfw.folds = 10;
  lfw.accuracy = 0.98765;
  lfw.deviation = 0.00512;
  lfw.threshold = 1.4321;
  lfw.auc = 0.9987;
  lfw.xnorm = 21.5;
  lfw.tar_at_far = {{1e-1, 1.0, true},  {1e-2, 0.99, true}, {1e-3, 0.975, true},
                    {1e-4, 0.5, false}, {1e-5, 0.5, false}, {1e-6, 0.5, false}};
  return {{"lfw", lfw}, {"characters", ClosedSetResult{5000, 1250, 0.9125, 0.9876}}};
}

}  // namespace

TEST_CASE("a report as JSON has a result per set under documented keys", "[report]") {
  const std::string text = to_json(example());

  const nlohmann::json results = nlohmann::json::parse(text).at("results");
  REQUIRE(results.size() == 2);
  const nlohmann::json& lfw = results[0];
  CHECK(lfw.at("name") == "lfw");
  CHECK(lfw.at("kind") == "verification");
  CHECK(lfw.at("pairs") == 6000);
  CHECK(lfw.at("same") == 3000);
  CHECK(lfw.at("folds") == 10);
  CHECK(lfw.at("accuracy") == 0.98765);
  CHECK(lfw.at("deviation") == 0.00512);
  CHECK(lfw.at("threshold") == 1.4321);
  CHECK(lfw.at("auc") == 0.9987);
  CHECK(lfw.at("xnorm") == 21.5);
  CHECK(lfw.at("tar_at_far").size() == 6);
  CHECK(lfw.at("tar_at_far").at("1e-3") == 0.975);
  CHECK(lfw.at("tar_at_far").at("1e-4").is_null());
  const nlohmann::json& characters = results[1];
  CHECK(characters.at("name") == "characters");
  CHECK(characters.at("kind") == "closed_set");
  CHECK(characters.at("images") == 5000);
  CHECK(characters.at("classes") == 1250);
  CHECK(characters.at("top1") == 0.9125);
  CHECK(characters.at("top5") == 0.9876);
  CHECK(text.back() == '\n');
}

TEST_CASE("a report as table aligns percentages and marks what is not supported", "[report]") {
  std::vector<NamedResult> results = example();
  results.insert(results.begin() + 1, results[0]);
  results[1].name = "a_longer_name";

  const std::string table = to_table(results);

  const std::string expected =
      "verification   pairs  accuracy  deviation  threshold     AUC  XNorm  TAR@1e-1  TAR@1e-2  TAR@1e-3  TAR@1e-4  "
      "TAR@1e-5  TAR@1e-6\n"
      "lfw             6000    98.77%      0.51%      1.432  99.87%  21.50   100.00%    99.00%    97.50%         -  "
      "       -         -\n"
      "a_longer_name   6000    98.77%      0.51%      1.432  99.87%  21.50   100.00%    99.00%    97.50%         -  "
      "       -         -\n"
      "\n"
      "closed set  images  classes   top-1   top-5\n"
      "characters    5000     1250  91.25%  98.76%\n";
  CHECK(table == expected);
}

TEST_CASE("a report as scalars starts with the leading figure of each set", "[report]") {
  const auto scalars = to_scalars(example());

  std::vector<std::string> names;
  for (const auto& [name, value] : scalars) names.push_back(name);
  CHECK(names == std::vector<std::string>{"lfw/accuracy", "lfw/deviation", "lfw/threshold", "lfw/auc", "lfw/xnorm",
                                          "lfw/tar_at_far_1e-1", "lfw/tar_at_far_1e-2", "lfw/tar_at_far_1e-3",
                                          "characters/top1", "characters/top5"});
  CHECK(scalars[0].second == 0.98765);
  CHECK(scalars[7].second == 0.975);
}

TEST_CASE("an empty report is valid", "[report]") {
  CHECK(nlohmann::json::parse(to_json({})).at("results").empty());
  CHECK(to_table({}).empty());
  CHECK(to_scalars({}).empty());
}

}  // namespace plsc::eval
