#include <catch2/catch.hpp>

#include "config/errors.h"

namespace plsc::config {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

Config valid_config() {
  Config config;
  config.data.list = "train.txt";
  return config;
}

/// The error after `change` made a valid configuration invalid.
template <class Change>
std::string validate_error(Change&& change) {
  Config config = valid_config();
  change(config);
  return error_of([&] { validate(config); });
}

}  // namespace

TEST_CASE("sensible configurations are valid", "[config]") {
  Config config = valid_config();
  CHECK_NOTHROW(validate(config));

  config.head = {.loss = Loss::combined, .m1 = 0.9F, .m3 = 0.1F};
  config.optim.schedule.kind = ScheduleKind::step;
  config.optim.schedule.milestones = {4, 8};
  config.optim.nesterov = true;
  config.eval.lists = {"test.txt"};
  config.eval.best_metric = "some/set/top1";
  CHECK_NOTHROW(validate(config));

  config.head = {.loss = Loss::softmax, .bias = true};
  config.train.epochs = 1;
  config.train.max_steps = 10;
  config.optim.schedule.warmup_epochs = 2;
  CHECK_NOTHROW(validate(config));
}

TEST_CASE("the source of images must be one", "[config][error]") {
  CHECK_THAT(validate_error([](Config& c) { c.data.list = ""; }), Contains("neither data.list nor data.folder"));
  CHECK_THAT(validate_error([](Config& c) { c.data.folder = "faces"; }),
             Contains("both data.list (train.txt) and data.folder (faces)"));
  CHECK_THAT(validate_error([](Config& c) {
               c.data.list = "";
               c.data.folder = "faces";
               c.data.root = "/x";
             }),
             StartsWith("data.root: /x is given with data.folder"));
}

TEST_CASE("sizes out of bounds are invalid however they were set", "[config][error]") {
  CHECK_THAT(validate_error([](Config& c) { c.model.embedding = 0; }),
             StartsWith("model.embedding: 0 is out of bounds"));
  CHECK_THAT(validate_error([](Config& c) { c.data.height = 0; }), StartsWith("data.height: 0 is out of bounds"));
  CHECK_THAT(validate_error([](Config& c) { c.data.width = -3; }), StartsWith("data.width: -3 is out of bounds"));
  CHECK_THAT(validate_error([](Config& c) { c.train.global_batch = 0; }), StartsWith("train.global_batch: 0 is out"));
  CHECK_THAT(validate_error([](Config& c) { c.optim.momentum = 1; }), StartsWith("optim.momentum: 1 is out"));
  CHECK_THAT(validate_error([](Config& c) { c.optim.lr = 0; }), StartsWith("optim.lr: 0 is out"));
  CHECK_THAT(validate_error([](Config& c) { c.system.bucket_bytes = 0; }), StartsWith("system.bucket_bytes: 0 is out"));
  CHECK_THAT(validate_error([](Config& c) { c.optim.schedule.milestones = {-1}; }),
             StartsWith("optim.schedule.milestones: -1 is out"));
  CHECK_THAT(validate_error([](Config& c) { c.data.random_crop = 112; }),
             StartsWith("data.random_crop: a shift of 112 is too large (images have 112x112 pixels)"));
}

TEST_CASE("head keys must fit the loss", "[config][error]") {
  CHECK_THAT(validate_error([](Config& c) { c.head.bias = true; }), StartsWith("head.bias: true with another loss"));
  CHECK_THAT(validate_error([](Config& c) { c.head.m1 = 0.9F; }), StartsWith("head.m1, head.m3: 0.9 and 0 are given"));
  CHECK_THAT(validate_error([](Config& c) {
               c.head.loss = Loss::cosface;
               c.head.m3 = 0.2F;
             }),
             StartsWith("head.m1, head.m3: 1 and 0.2 are given"));
}

TEST_CASE("optimiser and schedule must fit", "[config][error]") {
  CHECK_THAT(validate_error([](Config& c) {
               c.optim.nesterov = true;
               c.optim.momentum = 0;
             }),
             StartsWith("optim.nesterov: true while optim.momentum is 0"));
  CHECK_THAT(validate_error([](Config& c) { c.optim.schedule.kind = ScheduleKind::step; }),
             StartsWith("optim.schedule.milestones: empty"));
  CHECK_THAT(validate_error([](Config& c) { c.optim.schedule.milestones = {3}; }),
             StartsWith("optim.schedule.milestones: given (only schedule kind step"));
  for (const std::vector<double>& milestones : {std::vector<double>{4, 4}, std::vector<double>{8, 4}}) {
    CHECK_THAT(validate_error([&](Config& c) {
                 c.optim.schedule.kind = ScheduleKind::step;
                 c.optim.schedule.milestones = milestones;
               }),
               Contains("does not increase") && Contains("4]"));
  }
  CHECK_THAT(validate_error([](Config& c) { c.optim.schedule.warmup_epochs = 21; }),
             StartsWith("optim.schedule.warmup_epochs: 21 is longer than the training (train.epochs is 20)"));
}

TEST_CASE("a run needs a network, an output folder and a known device", "[config][error]") {
  CHECK_THAT(validate_error([](Config& c) { c.model.network = ""; }), StartsWith("model.network: empty"));
  CHECK_THAT(validate_error([](Config& c) { c.train.output = ""; }), StartsWith("train.output: empty"));
  CHECK_THAT(validate_error([](Config& c) { c.system.device = "gpu"; }),
             StartsWith("system.device: unknown device gpu (known: cpu)"));
}

TEST_CASE("the best metric must name an evaluated set and a metric", "[config][error]") {
  for (const std::string metric : {"accuracy", "/accuracy", "lfw/", "lfw /accuracy"}) {
    CHECK_THAT(validate_error([&](Config& c) {
                 c.eval.lists = {"a"};
                 c.eval.best_metric = metric;
               }),
               StartsWith("eval.best_metric: \"" + metric + "\" is malformed"));
  }
  CHECK_THAT(validate_error([](Config& c) { c.eval.best_metric = "lfw/accuracy"; }),
             StartsWith("eval.best_metric: lfw/accuracy is given while nothing is evaluated"));
}

}  // namespace plsc::config
