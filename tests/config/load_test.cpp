#include "plsc/config/load.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "config/errors.h"

namespace plsc::config {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

TEST_CASE("every type of value is read", "[config]") {
  const Config config = parse_config(R"(
data:
  list: lists/train.txt
  num_classes: 1e6
  flip: false
  random_crop: 4
  on_error: skip
model:
  batch_norm:
    epsilon: 2e-5
head: {loss: combined, workspace_bytes: 512MiB, m1: .9}
optim:
  lr: +0.05
  schedule: {kind: step, milestones: [8, 14.5]}
train: {seed: 18446744073709551615, output: "runs/a b"}
eval:
  verification:
    - a.bin
    - 'b c.bin'
  pairs: []
system: {bucket_bytes: 1.5 MiB}
)",
                                     "run.yaml");

  CHECK(config.data.list == "lists/train.txt");
  CHECK(config.data.num_classes == 1000000);
  CHECK_FALSE(config.data.flip);
  CHECK(config.data.random_crop == 4);
  CHECK(config.data.on_error == OnError::skip);
  CHECK(config.model.batch_norm.epsilon == 2e-5F);
  CHECK(config.head.loss == Loss::combined);
  CHECK(config.head.workspace_bytes == 512LL << 20);
  CHECK(config.head.m1 == 0.9F);
  CHECK(config.optim.lr == 0.05);
  CHECK(config.optim.schedule.kind == ScheduleKind::step);
  CHECK(config.optim.schedule.milestones == std::vector<double>{8, 14.5});
  CHECK(config.train.seed == 18446744073709551615ULL);
  CHECK(config.train.output == "runs/a b");
  CHECK(config.eval.verification == std::vector<std::string>{"a.bin", "b c.bin"});
  CHECK(config.eval.pairs.empty());
  CHECK(config.system.bucket_bytes == 1572864);
  CHECK(config.optim.momentum == 0.9F);
}

TEST_CASE("an empty file and empty sections give the defaults", "[config]") {
  const std::string defaults = to_yaml(Config{});

  CHECK(to_yaml(parse_config("", "run.yaml")) == defaults);
  CHECK(to_yaml(parse_config("# nothing\n", "run.yaml")) == defaults);
  CHECK(to_yaml(parse_config("optim:\nmodel:\n  batch_norm:\n", "run.yaml")) == defaults);
  CHECK(to_yaml(load_config("")) == defaults);
}

TEST_CASE("sizes are read with decimal and binary units", "[config]") {
  const auto bytes = [](const std::string& text) {
    return load_config("", {"head.workspace_bytes=" + text}).head.workspace_bytes;
  };

  CHECK(bytes("1048576") == 1048576);
  CHECK(bytes("64KiB") == 65536);
  CHECK(bytes("2 GiB") == 2147483648LL);
  CHECK(bytes("500MB") == 500000000);
  CHECK(bytes("1.5kB") == 1500);
  CHECK(bytes("7B") == 7);
  CHECK(bytes("1e9") == 1000000000);
}

TEST_CASE("an unknown key names file, line and the nearest key", "[config][error]") {
  const std::string text = parse_error("data:\n  flip: true\noptim:\n  momentun: 0.9\n");

  CHECK_THAT(text,
             StartsWith("optim.momentun: unknown key (section optim has no such key). Did you mean optim.momentum?"));
  CHECK_THAT(text, Contains("file run.yaml, line 4"));
}

TEST_CASE("suggestions look in other sections and at beginnings", "[config][error]") {
  CHECK_THAT(parse_error("trian: {epochs: 3}"),
             Contains("Did you mean train?") && Contains("the configuration has no"));
  CHECK_THAT(parse_error("lr: 3"), Contains("Did you mean optim.lr?"));
  CHECK_THAT(parse_error("optim: {l: 3}"), Contains("Did you mean optim.lr?"));
  CHECK_THAT(parse_error("optim: {warmup_epochs: 3}"), Contains("Did you mean optim.schedule.warmup_epochs?"));
  CHECK_THAT(parse_error("optim: {schedule: {warmup: 3}}"), Contains("Did you mean optim.schedule.warmup_epochs?"));
  CHECK_THAT(parse_error("model: {batch_nrom: {momentum: 1}}"), Contains("Did you mean model.batch_norm?"));
}

TEST_CASE("an unknown key that resembles nothing lists the keys of its section", "[config][error]") {
  CHECK_THAT(parse_error("checkpoint: {qqqqqq: 3}"), Contains("The keys here are every_steps, every_epochs, keep,"));
}

TEST_CASE("a dotted key in a file is explained", "[config][error]") {
  CHECK_THAT(parse_error("optim.lr: 3"),
             Contains("optim.lr: a dotted key") && Contains("line 1") && Contains("Nest it"));
}

TEST_CASE("wrong types name what was found and what is expected", "[config][error]") {
  CHECK_THAT(parse_error("\noptim: {lr: fast}"),
             StartsWith("optim.lr: expected a number (found fast). Change it; the default is 0.1.") &&
                 Contains("file run.yaml, line 2"));
  CHECK_THAT(parse_error("optim: {lr: \"0.1\"}"), Contains("expected a number (found the text \"0.1\")"));
  CHECK_THAT(parse_error("optim: {lr: .inf}"), Contains("expected a number (found .inf)"));
  CHECK_THAT(parse_error("optim: {momentum: nan}"), Contains("expected a number (found nan)"));
  CHECK_THAT(parse_error("optim: {lr: [1]}"), Contains("expected a number (found a list)"));
  CHECK_THAT(parse_error("optim: {lr: }"), Contains("expected a number (found nothing)"));
  CHECK_THAT(parse_error("data: {height: 1.5}"), Contains("data.height: expected a whole number (found 1.5)"));
  CHECK_THAT(parse_error("data: {height: 0x10}"), Contains("expected a whole number (found 0x10)"));
  CHECK_THAT(parse_error("train: {seed: \"7\"}"), Contains("expected a whole number (found the text \"7\")"));
  CHECK_THAT(parse_error("data: {list: [a]}"), Contains("data.list: expected a text (found a list)"));
  CHECK_THAT(parse_error("data: {list: {a: b}}"), Contains("expected a text (found a section with keys)"));
  CHECK_THAT(parse_error("head: {workspace_bytes: 3 miles}"), Contains("expected a size such as 1048576 or 256MiB"));
  CHECK_THAT(parse_error("head: {workspace_bytes: 0.3KiB}"), Contains("expected a size"));
  CHECK_THAT(parse_error("eval: {pairs: a.txt}"),
             Contains("eval.pairs: expected a list of texts in [ ] (found a.txt)"));
  CHECK_THAT(parse_error("eval:\n  pairs:\n  - a\n  - [b]"), Contains("a text as list element") && Contains("line 4"));
  CHECK_THAT(parse_error("optim: {schedule: {milestones: 3}}"),
             Contains("expected a list of numbers in [ ] (found 3)"));
  CHECK_THAT(parse_error("optim: {schedule: {milestones: [3, x]}}"), Contains("expected a number (found x)"));
  CHECK_THAT(parse_error("head: {loss: arcfacce}"),
             Contains("head.loss: expected one of softmax, norm_softmax, arcface, cosface, combined (found arcfacce)"));
}

TEST_CASE("booleans are true and false only", "[config][error]") {
  for (const std::string text : {"yes", "no", "on", "off", "True", "FALSE"}) {
    CHECK_THAT(parse_error(fmt::format("data: {{flip: {}}}", text)),
               Contains(fmt::format("data.flip: expected true or false (found {}", text)) &&
                   Contains("only these two spellings are booleans"));
  }
  CHECK_THAT(parse_error("data: {flip: 1}"), Contains("expected true or false (found 1)"));
  CHECK_THAT(parse_error("data: {flip: \"true\"}"), Contains("expected true or false (found the text \"true\""));
}

TEST_CASE("values out of bounds name the bounds", "[config][error]") {
  CHECK_THAT(parse_error("optim:\n  lr: -1\n"),
             StartsWith("optim.lr: -1 is out of bounds (allowed: above 0)") && Contains("file run.yaml, line 2"));
  CHECK_THAT(parse_error("model: {embedding: 0}"), Contains("0 is out of bounds (allowed: at least 1)"));
  CHECK_THAT(parse_error("optim: {momentum: 1}"), Contains("(allowed: at least 0 and below 1)"));
  CHECK_THAT(parse_error("head: {m3: 2.5}"), Contains("(allowed: from 0 to 2)"));
  CHECK_THAT(parse_error("data: {height: 3e9}"), Contains("(allowed: from 1 to 2147483647)"));
  CHECK_THAT(parse_error("data: {num_classes: 9999999999999999999999}"), Contains("out of bounds"));
  CHECK_THAT(parse_error("train: {seed: -1}"), Contains("(allowed: from 0 to 18446744073709551615)"));
  CHECK_THAT(parse_error("train: {seed: 18446744073709551616}"), Contains("(allowed: from 0 to 18446744073709551615)"));
  CHECK_THAT(parse_error("system: {bucket_bytes: 0}"), Contains("system.bucket_bytes: 0 is out of bounds"));
  CHECK_THAT(parse_error("optim:\n  schedule:\n    milestones:\n    - 3\n    - -2\n"),
             Contains("optim.schedule.milestones: -2 is out of bounds (allowed: above 0)") && Contains("line 5"));
}

TEST_CASE("structure errors name file and line", "[config][error]") {
  CHECK_THAT(parse_error("optim:\n  lr: 1\n  momentum: 0.5\n  lr: 2\n"),
             Contains("optim.lr: duplicate key (first given in line 2)") && Contains("file run.yaml, line 4"));
  CHECK_THAT(parse_error("data: {}\noptim: 3\n"),
             Contains("optim: expected a section with keys (found 3)") && Contains("line 2"));
  CHECK_THAT(parse_error("- a\n- b\n"), Contains("expected sections with keys (found a list)") && Contains("line 1"));
  CHECK_THAT(parse_error("hello"), Contains("expected sections with keys (found hello)"));
  CHECK_THAT(parse_error("optim:\n  ? [a]\n  : 3\n"), Contains("optim: a key that is no word") && Contains("line 2"));
  CHECK_THAT(parse_error("data: {}\n---\noptim: {}\n"), Contains("a second YAML document"));
  CHECK_THAT(parse_error("optim:\n  lr: !!float 3\n"), Contains("optim.lr: YAML tag") && Contains("line 2"));
  CHECK_THAT(parse_error("optim:\n  lr: [1, 2\nmodel: 3\n"),
             Contains("Not valid YAML") && Contains("file run.yaml, line"));
  CHECK_THAT(parse_error("optim:\n\tlr: 1\n"), Contains("Not valid YAML") && Contains("file run.yaml, line 2"));
}

TEST_CASE("a document without end is refused", "[config][error]") {
  const std::string deep = fmt::format("optim: {:[>100}{:]>100}", "", "");
  std::string wide = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 8; ++i) {
    const std::vector<std::string> aliases(10, fmt::format("*a{}", i - 1));
    wide += fmt::format("a{}: &a{} [{}]\n", i, i, fmt::join(aliases, ", "));
  }

  CHECK_THAT(parse_error(deep), Contains("too deep or too large"));
  CHECK_THAT(parse_error(wide), Contains("too deep or too large") && Contains("anchors"));
  CHECK_THAT(parse_error("optim: &a\n  lr: *a\n"), Contains("too deep or too large"));
}

TEST_CASE("anchors and aliases work", "[config]") {
  const Config config = parse_config("optim: {lr: &rate 0.3, weight_decay: *rate}", "run.yaml");

  CHECK(config.optim.lr == 0.3);
  CHECK(config.optim.weight_decay == 0.3F);
}

}  // namespace plsc::config
