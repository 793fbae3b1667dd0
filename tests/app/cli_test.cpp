// The program as its user meets it: commands, exit codes, and what a mistake says.
#include <fmt/format.h>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/command.h"
#include "support/images.h"
#include "support/temp_dir.h"

namespace plsc {

namespace {

using Catch::Contains;
using test::CommandOutcome;
using test::run_program;
using test::run_ranks;
using test::run_shell;

struct Fixture {
  Fixture() {
    std::string list;
    for (int label = 0; label < 4; ++label) {
      for (int i = 0; i < 4; ++i) {
        const std::string name = fmt::format("{}_{}.png", label, i);
        test::write_file(folder / name, test::encode_png(test::make_image(16, 16, static_cast<std::uint64_t>(label))));
        list += name + "\t" + std::to_string(label) + "\n";
      }
    }
    test::write_file(folder / "train.txt", list);
    test::write_file(folder / "run.yaml",
                     fmt::format(R"(data: {{list: {0}/train.txt, height: 16, width: 16, workers: 1}}
model: {{network: iresnet_tiny, embedding: 16}}
head: {{loss: cosface, scale: 16, margin: 0.1}}
train: {{global_batch: 8, max_steps: 4, output: {0}/run, log_every: 1}}
eval: {{lists: [{0}/train.txt]}}
system: {{threads: 1, convolution: direct}}
)",
                                 folder.path().string()));
  }

  std::string train(const std::string& more = "") const {
    return fmt::format("--config {}/run.yaml {}", folder.path().string(), more);
  }
  std::string path(const std::string& name) const { return (folder / name).string(); }
  std::string read(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(folder / name).rdbuf();
    return text.str();
  }

  test::TempDir folder;
};

int count(const std::string& text, const std::string& what) {
  int times = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++times;
  return times;
}

}  // namespace

TEST_CASE("help, version and print-config answer on standard output", "[cli]") {
  const CommandOutcome help = run_program("--help");
  const CommandOutcome version = run_program("--version");
  const CommandOutcome config = run_program("--print-config --set optim.lr=0.25");

  CHECK(help.exit_code == 0);
  CHECK_THAT(help.output, Contains("evaluate") && Contains("data") && Contains("--config"));
  CHECK(version.exit_code == 0);
  CHECK_THAT(version.output, Contains("plsc-train 0.") && Contains("cpu: oneDNN") && Contains("MPI"));
  CHECK(config.exit_code == 0);
  CHECK_THAT(config.output, Contains("lr: 0.25") && Contains("network: iresnet50"));
}

TEST_CASE("a run trains, evaluates, saves, and its checkpoint evaluates to the same figures", "[cli]") {
  const Fixture fixture;

  const CommandOutcome trained = run_ranks(2, fixture.train());
  const CommandOutcome evaluated =
      run_program(fmt::format("evaluate --checkpoint {} --list {} --json {}", fixture.path("run"),
                              fixture.path("train.txt"), fixture.path("out.json")));

  INFO(trained.errors << evaluated.errors);
  REQUIRE(trained.exit_code == 0);
  REQUIRE(evaluated.exit_code == 0);
  for (const char* name : {"config.yaml", "metrics.jsonl", "summary.json", "checkpoints/step_00000004/manifest.json"}) {
    CHECK(std::filesystem::exists(fixture.folder / "run" / name));
  }
  CHECK_THAT(evaluated.output, Contains("top-1"));
  const std::string report = fixture.read("out.json");
  CHECK_THAT(report, Contains("\"top1\"") && Contains("\"step\": 4"));
  const auto top1 = [](const std::string& text, const std::string& key) {
    return std::stod(text.substr(text.find(key) + key.size()));
  };
  CHECK(top1(report, "\"top1\":") == Approx(top1(fixture.read("run/summary.json"), "\"train/top1\":")));
}

TEST_CASE("an output with checkpoints is continued or left alone, never overwritten", "[cli]") {
  const Fixture fixture;
  REQUIRE(run_program(fixture.train("--set train.max_steps=2")).exit_code == 0);

  const CommandOutcome again = run_program(fixture.train());
  const CommandOutcome resumed = run_ranks(2, fixture.train("--resume"));

  CHECK(again.exit_code == 3);
  CHECK_THAT(again.errors, Contains("already holds checkpoints") && Contains("--resume"));
  INFO(resumed.errors);
  CHECK(resumed.exit_code == 0);
  CHECK_THAT(resumed.errors, Contains("resumed") && Contains("at step 2 of 4"));
}

TEST_CASE("fine-tuning takes a backbone into a run with other classes", "[cli]") {
  const Fixture fixture;
  REQUIRE(run_program(fixture.train("--set train.max_steps=1")).exit_code == 0);
  const std::string other = fmt::format(
      "--set train.output={0}/other --set train.init_from={0}/run --set data.num_classes=9 "
      "--set train.max_steps=1",
      fixture.folder.path().string());

  const CommandOutcome tuned = run_program(fixture.train(other));
  const CommandOutcome wrong =
      run_program(fixture.train(other + " --set model.network=iresnet18 --set train.output=" + fixture.path("third")));

  INFO(tuned.errors);
  CHECK(tuned.exit_code == 0);
  CHECK(wrong.exit_code == 6);
  CHECK_THAT(wrong.errors, Contains("train.init_from"));
}

TEST_CASE("mistakes on the command line and in the configuration are named once", "[cli]") {
  const Fixture fixture;
  struct Mistake {
    std::string arguments;
    int exit_code;
    std::string says;
  };
  const std::vector<Mistake> mistakes = {
      {"", 2, "no configuration given"},
      {"--confg x.yaml", 2, "--confg"},
      {"--config " + fixture.path("absent.yaml"), 5, "absent.yaml"},
      {fixture.train("--set optim.lrr=1"), 3, "optim.lr"},
      {fixture.train("--set data.list=" + fixture.path("absent.txt")), 5, "absent.txt"},
      {fixture.train("--set model.network=resnet1"), 3, "Choose one of"},
      {fixture.train("--set model.embedding=0"), 3, "embedding"},
      {fixture.train("--set system.device=gpu"), 3, "system.device"},
      {fixture.train("--set train.init_from=" + fixture.path("absent")), 6, "absent"},
      {fixture.train("--set train.output=/proc/nothing"), 5, "/proc/nothing"},
      {"evaluate --checkpoint " + fixture.path("absent"), 6, "no complete checkpoint"},
      {"data render --fonts " + fixture.path("absent.ttf") + " --output " + fixture.path("glyphs"), 5, "absent.ttf"},
  };
  for (const Mistake& mistake : mistakes) {
    const CommandOutcome outcome = run_program(mistake.arguments);

    INFO(mistake.arguments << "\n" << outcome.errors);
    CHECK(outcome.exit_code == mistake.exit_code);
    CHECK_THAT(outcome.errors, Contains(mistake.says));
    CHECK(count(outcome.errors, "error") == 1);
  }
}

TEST_CASE("under mpirun one rank reports for all", "[cli]") {
  const Fixture fixture;
  struct Mistake {
    std::string arguments;
    int exit_code;
    std::string says;
  };
  const std::vector<Mistake> mistakes = {
      {fixture.train("--set optim.lrr=1"), 3, "optim.lr"},
      {fixture.train("--set data.list=" + fixture.path("absent.txt")), 5, "absent.txt"},
      {fixture.train("--set train.global_batch=1"), 3, "smaller than the number of ranks"},
      {fixture.train("--set optim.lr=1e30 --set optim.clip_norm=0"), 8, "not finite"},
  };
  for (const Mistake& mistake : mistakes) {
    const CommandOutcome outcome = run_ranks(2, mistake.arguments);

    INFO(mistake.arguments << "\n" << outcome.errors);
    CHECK(outcome.exit_code == mistake.exit_code);
    CHECK_THAT(outcome.errors, Contains(mistake.says));
    CHECK(count(outcome.errors, "error: ") == 1);
  }
}

TEST_CASE("an unreadable image ends all ranks with file and line, or is skipped on request", "[cli]") {
  const Fixture fixture;
  test::write_file(fixture.folder / "2_1.png", std::string_view("not an image"));

  const CommandOutcome failed = run_ranks(2, fixture.train());
  const CommandOutcome skipped = run_ranks(2, fixture.train("--set data.on_error=skip --set eval.lists=[]"));

  CHECK(failed.exit_code == 4);
  CHECK_THAT(failed.errors, Contains("2_1.png") && Contains("line 10") && Contains("rank"));
  INFO(skipped.errors);
  CHECK(skipped.exit_code == 0);
  CHECK_THAT(fixture.read("run/summary.json"), Contains("\"skipped_samples\": "));
}

TEST_CASE("more ranks than samples is an error", "[cli]") {
  const Fixture fixture;
  test::write_file(fixture.folder / "train.txt", std::string_view("0_0.png\t0\n"));

  const CommandOutcome outcome = run_ranks(2, fixture.train("--set train.global_batch=2 --set eval.lists=[]"));

  CHECK(outcome.exit_code == 4);
  CHECK_THAT(outcome.errors, Contains("1 samples for 2 ranks"));
}

// A file size limit stands for the full disk. One rank: Open MPI's own files would not fit either.
TEST_CASE("a full disk while saving is one error, and no half checkpoint is taken for whole", "[cli]") {
  const Fixture fixture;

  const CommandOutcome outcome = run_shell("trap '' XFSZ; ulimit -f 256; \"$PLSC_TRAIN\" " + fixture.train());
  const CommandOutcome resumed = run_program(fixture.train("--resume"));

  INFO(outcome.errors);
  CHECK(outcome.exit_code == 5);
  CHECK(count(outcome.errors, "error: ") == 1);
  CHECK_THAT(resumed.errors, Contains("no complete checkpoint"));
  CHECK(resumed.exit_code == 0);
}

TEST_CASE("a killed rank ends the job, and the run continues from the newest checkpoint", "[cli]") {
  const Fixture fixture;
  const std::string endless =
      fixture.train("--set train.max_steps=100000 --set checkpoint.every_steps=2 --set eval.lists=[]");

  const CommandOutcome killed =
      run_shell("\"$MPIRUN\" -n 2 \"$PLSC_TRAIN\" " + endless + " & job=$!; for i in $(seq 600); do ls " +
                fixture.path("run/checkpoints") +
                "/step_*/manifest.json >/dev/null 2>&1 && break; sleep 0.1; done; pkill -KILL -n -f '" +
                fixture.path("run.yaml") + "'; wait $job");
  const CommandOutcome resumed = run_program(fixture.train("--resume --set train.max_steps=2 --set eval.lists=[]"));

  INFO(killed.errors);
  CHECK(killed.exit_code == 137);
  INFO(resumed.errors);
  CHECK(resumed.exit_code == 0);
  CHECK_THAT(resumed.errors, Contains("resumed"));
}

TEST_CASE("a stop signal saves and exits with its own code", "[cli]") {
  const Fixture fixture;
  const std::string endless = fixture.train("--set train.max_steps=100000 --set eval.lists=[]");

  const CommandOutcome stopped =
      run_shell("\"$PLSC_TRAIN\" " + endless + " & job=$!; for i in $(seq 600); do test -s " +
                fixture.path("run/metrics.jsonl") + " && break; sleep 0.1; done; kill -TERM $job; wait $job");

  INFO(stopped.errors);
  CHECK(stopped.exit_code == 10);
  CHECK_THAT(stopped.errors, Contains("stopped on request") && Contains("saved"));
}

}  // namespace plsc
