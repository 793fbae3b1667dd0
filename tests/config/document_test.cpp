// Base files, environment variables and overrides.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "config/errors.h"
#include "support/temp_dir.h"

namespace plsc::config {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

std::string load_error(const std::filesystem::path& path, ErrorCode code = ErrorCode::config) {
  return error_of([&] { load_config(path.string()); }, code);
}

}  // namespace

TEST_CASE("base files are merged key by key, later ones win", "[config]") {
  const test::TempDir dir;
  write(dir / "common/a.yaml", "optim: {lr: 0.1, momentum: 0.5, schedule: {kind: step, milestones: [1, 2]}}\n");
  write(dir / "common/b.yaml", "optim: {lr: 0.2}\nbase: deeper/c.yaml\n");
  write(dir / "common/deeper/c.yaml", "train: {epochs: 7}\ndata: {flip: false}\n");
  write(dir / "run.yaml",
        "base: [common/a.yaml, common/b.yaml]\noptim:\n  schedule: {milestones: [9]}\ntrain: {epochs: 8}\ndata:\n");

  const Config config = load_config((dir / "run.yaml").string());

  CHECK(config.optim.lr == 0.2);
  CHECK(config.optim.momentum == 0.5F);
  CHECK(config.optim.schedule.kind == ScheduleKind::step);
  CHECK(config.optim.schedule.milestones == std::vector<double>{9});
  CHECK(config.train.epochs == 8);
  CHECK_FALSE(config.data.flip);
}

TEST_CASE("one file may be a base twice when it is no cycle", "[config]") {
  const test::TempDir dir;
  write(dir / "root.yaml", "optim: {lr: 0.3}\n");
  write(dir / "a.yaml", "base: root.yaml\n");
  write(dir / "b.yaml", "base: root.yaml\n");
  write(dir / "run.yaml", "base: [a.yaml, b.yaml]\n");

  const Config config = load_config((dir / "run.yaml").string());

  CHECK(config.optim.lr == 0.3);
}

TEST_CASE("an error in a base names the base and who includes it", "[config][error]") {
  const test::TempDir dir;
  write(dir / "common.yaml", "data:\n  flip: true\n  hieght: 3\n");
  write(dir / "broken.yaml", "optim: [\n");
  write(dir / "run.yaml", "base: common.yaml\noptim: {lr: 3}\n");
  write(dir / "second.yaml", "\nbase: broken.yaml\n");

  CHECK_THAT(load_error(dir / "run.yaml"),
             Contains("Did you mean data.height?") && Contains("file " + (dir / "common.yaml").string() + ", line 3"));
  CHECK_THAT(load_error(dir / "second.yaml"),
             Contains("file " + (dir / "broken.yaml").string() + ", line") &&
                 Contains("base of file " + (dir / "second.yaml").string() + ", line 2"));
}

TEST_CASE("cycles of base files are errors", "[config][error]") {
  const test::TempDir dir;
  write(dir / "self.yaml", "base: ./self.yaml\n");
  write(dir / "a.yaml", "base: sub/b.yaml\n");
  write(dir / "sub/b.yaml", "data: {}\nbase: ../a.yaml\n");

  CHECK_THAT(load_error(dir / "self.yaml"), Contains("includes itself") && Contains("line 1"));
  CHECK_THAT(load_error(dir / "a.yaml"),
             Contains("a.yaml includes itself") && Contains("b.yaml, line 2") && Contains(" -> "));
}

TEST_CASE("a base that is no file name is an error", "[config][error]") {
  CHECK_THAT(parse_error("base: {a: b}"), Contains("base: expected a file or a list of files (found a section"));
  CHECK_THAT(parse_error("base: [[a]]"), Contains("base: expected a file"));
  CHECK_THAT(parse_error("base:"), Contains("base: expected a file or a list of files (found nothing)"));
  CHECK_THAT(parse_error("optim: {base: a.yaml}"), Contains("optim.base: unknown key"));
}

TEST_CASE("files that cannot be read are errors", "[config][error]") {
  const test::TempDir dir;
  write(dir / "run.yaml", "\nbase: missing.yaml\n");

  CHECK_THAT(load_error(dir / "none.yaml", ErrorCode::io), Contains("none.yaml cannot be read (no such file)"));
  CHECK_THAT(load_error(dir.path(), ErrorCode::io), Contains("it is a directory"));
  CHECK_THAT(load_error(dir / "run.yaml", ErrorCode::io),
             Contains("missing.yaml cannot be read") && Contains("run.yaml, line 2"));
}

TEST_CASE("environment variables are replaced in values", "[config]") {
  setenv("PLSC_TEST_ROOT", "/faces", 1);
  setenv("PLSC_TEST_EPOCHS", "12", 1);
  setenv("PLSC_TEST_EMPTY", "", 1);
  unsetenv("PLSC_TEST_UNSET");

  const Config config = parse_config(R"(
data: {list: "${PLSC_TEST_ROOT}/train.txt", root: '${PLSC_TEST_UNSET:-/data}/${PLSC_TEST_EMPTY:-x}', folder: "a$${b}$c"}
train:
  epochs: ${PLSC_TEST_EPOCHS}
  init_from: ${PLSC_TEST_EMPTY}
eval: {verification: ["${PLSC_TEST_ROOT}/lfw.bin"]}
optim: {schedule: {milestones: ["${PLSC_TEST_EPOCHS}"]}}
)",
                                     "run.yaml");

  CHECK(config.data.list == "/faces/train.txt");
  CHECK(config.data.root == "/data/x");
  CHECK(config.data.folder == "a${b}$c");
  CHECK(config.train.epochs == 12);
  CHECK(config.train.init_from.empty());
  CHECK(config.eval.verification == std::vector<std::string>{"/faces/lfw.bin"});
  CHECK(config.optim.schedule.milestones == std::vector<double>{12});
}

TEST_CASE("a base may be named by an environment variable", "[config]") {
  const test::TempDir dir;
  write(dir / "common.yaml", "optim: {lr: 0.7}\n");
  setenv("PLSC_TEST_BASE", dir.path().c_str(), 1);

  const Config config = parse_config("base: ${PLSC_TEST_BASE}/common.yaml", "run.yaml");

  CHECK(config.optim.lr == 0.7);
}

TEST_CASE("environment errors name variable, key and line", "[config][error]") {
  unsetenv("PLSC_TEST_UNSET");

  CHECK_THAT(parse_error("data:\n  list: ${PLSC_TEST_UNSET}/a\n"),
             StartsWith("data.list: environment variable PLSC_TEST_UNSET is not set") && Contains("line 2") &&
                 Contains("${PLSC_TEST_UNSET:-value}"));
  CHECK_THAT(parse_error("data: {list: \"${PLSC_TEST\"}"), Contains("data.list: ${ without }"));
  CHECK_THAT(parse_error("data: {list: \"${a b}\"}"), Contains("${a b} is no environment variable"));
  CHECK_THAT(parse_error("data: {list: \"${}\"}"), Contains("is no environment variable"));
  CHECK_THAT(parse_error("data: {list: \"${1A}\"}"), Contains("is no environment variable"));
  CHECK_THAT(override_error("data.list=${PLSC_TEST_UNSET}"), StartsWith("--set data.list: environment variable"));
}

TEST_CASE("an unset variable whose value is replaced does no harm", "[config]") {
  const test::TempDir dir;
  unsetenv("PLSC_TEST_UNSET");
  write(dir / "run.yaml", "data: {list: \"${PLSC_TEST_UNSET}\"}\n");

  const Config config = load_config((dir / "run.yaml").string(), {"data.list=b.txt"});

  CHECK(config.data.list == "b.txt");
}

TEST_CASE("overrides win over the file, the last one over all", "[config]") {
  const test::TempDir dir;
  write(dir / "run.yaml", "optim: {lr: 0.1, momentum: 0.5}\ndata: {list: a}\n");

  const Config config = load_config(
      (dir / "run.yaml").string(),
      {"optim.lr=0.2", "optim.lr=0.3", "optim.schedule.milestones=[8,14]", "eval.pairs=[a, \"b=c\"]",
       "data.list=", "data.root=x=y", "model.batch_norm={momentum: 0.2, synchronized: true}", "head.loss=cosface"});

  CHECK(config.optim.lr == 0.3);
  CHECK(config.optim.momentum == 0.5F);
  CHECK(config.optim.schedule.milestones == std::vector<double>{8, 14});
  CHECK(config.eval.pairs == std::vector<std::string>{"a", "b=c"});
  CHECK(config.data.list.empty());
  CHECK(config.data.root == "x=y");
  CHECK(config.model.batch_norm.momentum == 0.2F);
  CHECK(config.model.batch_norm.synchronized);
  CHECK(config.head.loss == Loss::cosface);
}

TEST_CASE("overrides win over text in memory", "[config]") {
  const Config config = parse_config("optim: {lr: 0.1, momentum: 0.5}", "checkpoint", {"optim.lr=0.2"});

  CHECK(config.optim.lr == 0.2);
  CHECK(config.optim.momentum == 0.5F);
}

TEST_CASE("override errors name the override", "[config][error]") {
  CHECK_THAT(override_error("optim.l=3"),
             StartsWith("--set optim.l: unknown key (section optim has no such key). Did you mean optim.lr?"));
  CHECK_THAT(override_error("optim.lr=fast"), StartsWith("--set optim.lr: expected a number (found fast)"));
  CHECK_THAT(override_error("optim.lr="), StartsWith("--set optim.lr: expected a number (found the text \"\")"));
  CHECK_THAT(override_error("optim.lr=-1"), StartsWith("--set optim.lr: -1 is out of bounds (allowed: above 0)"));
  CHECK_THAT(override_error("optim=3"), StartsWith("--set optim: expected a section with keys (found 3)"));
  CHECK_THAT(override_error("optim={l: 3}"), StartsWith("--set optim.l: unknown key"));
  CHECK_THAT(override_error("optim.lr.x=3"), StartsWith("--set optim.lr: expected a number (found a section"));
  CHECK_THAT(override_error("optim={lr: 1, lr: 2}"), StartsWith("--set optim.lr: duplicate key"));
  CHECK_THAT(override_error("eval.pairs=[a"), StartsWith("--set eval.pairs: [a is not valid YAML"));
  CHECK_THAT(override_error("base=a.yaml"), StartsWith("--set base: unknown key"));
  CHECK_THAT(override_error("optim.lr", ErrorCode::usage), Contains("--set optim.lr: not of the form key=value"));
  CHECK_THAT(override_error("=3", ErrorCode::usage), Contains("not of the form key=value"));
  CHECK_THAT(override_error(".=3"), Contains("unknown key"));
}

}  // namespace plsc::config
