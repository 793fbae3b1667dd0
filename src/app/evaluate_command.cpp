#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/launch.h"
#include "app/runtime.h"
#include "plsc/checkpoint/checkpoint.h"
#include "plsc/comm/agreement.h"
#include "plsc/config/load.h"
#include "plsc/core/error.h"
#include "plsc/core/log.h"
#include "plsc/train/evaluation.h"
#include "plsc/train/model.h"

namespace plsc::app {

namespace {

struct EvaluateArguments {
  std::string checkpoint;
  std::vector<std::string> verification;
  std::vector<std::string> pairs;
  std::string pairs_root;
  std::vector<std::string> lists;
  std::string lists_root;
  std::vector<std::string> overrides;
  std::string json;
};

struct Loaded {
  std::filesystem::path directory;
  checkpoint::Manifest manifest;
  config::Config config;
};

/// The newest complete checkpoint in or under the given directory, a run's output included.
Loaded open_checkpoint(const EvaluateArguments& arguments) {
  const std::optional<std::filesystem::path> found = newest_checkpoint(arguments.checkpoint);
  if (!found) {
    throw Error(ErrorCode::checkpoint,
                fmt::format("no complete checkpoint in {} (no manifest.json in it or below). Give a "
                            "step_* directory or a run's train.output.",
                            arguments.checkpoint));
  }
  Loaded loaded{*found, checkpoint::read_manifest(*found), {}};
  loaded.config =
      config::parse_config(checkpoint::read_config(*found), (*found / "config.yaml").string(), arguments.overrides);
  return loaded;
}

/// Sets on the command line replace those of the run's configuration.
config::EvalConfig chosen_sets(const config::EvalConfig& from_run, const EvaluateArguments& arguments) {
  if (arguments.verification.empty() && arguments.pairs.empty() && arguments.lists.empty()) return from_run;
  config::EvalConfig chosen = from_run;
  chosen.verification = arguments.verification;
  chosen.pairs = arguments.pairs;
  chosen.pairs_root = arguments.pairs_root;
  chosen.lists = arguments.lists;
  chosen.lists_root = arguments.lists_root;
  return chosen;
}

/// The figures of the first set stand at the top as well, so that one set needs no digging.
std::string report_json(const std::vector<eval::NamedResult>& results, const Loaded& loaded) {
  const nlohmann::ordered_json sets = nlohmann::ordered_json::parse(eval::to_json(results)).at("results");
  nlohmann::ordered_json report = sets.at(0);
  report["checkpoint"] = loaded.directory.string();
  report["step"] = loaded.manifest.step;
  report["results"] = sets;
  return report.dump(2) + "\n";
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.flush();
  if (!file) {
    throw Error(ErrorCode::io,
                fmt::format("cannot write {} (is the folder there and writable, the disk full?).", path));
  }
}

int evaluate(const EvaluateArguments& arguments, comm::Communicator& communicator) {
  Loaded loaded;
  comm::run_agreed(communicator, [&] { loaded = open_checkpoint(arguments); });
  const config::Config& config = loaded.config;
  const std::int64_t classes = std::stoll(loaded.manifest.facts.at("num_classes"));
  const train::Evaluation evaluation(chosen_sets(config.eval, arguments), config.data, classes, communicator);
  if (evaluation.empty()) {
    throw CollectiveError(
        Error(ErrorCode::usage,
              "nothing to evaluate (neither the command line nor the run's configuration names a set). "
              "Add --verification FILE.bin, --pairs FILE or --list FILE."));
  }
  const Runtime runtime = make_runtime(config.system, communicator);
  const std::int64_t batch =
      config.eval.batch > 0 ? config.eval.batch : std::min<std::int64_t>(config.train.global_batch, 64);
  train::Model model(config, classes, batch, nn::Mode::inference, *runtime.backend, communicator);
  checkpoint::Snapshot snapshot;
  snapshot.backbone = model.backbone_tensors();
  if (evaluation.needs_classifier()) snapshot.head = model.head_tensors();
  checkpoint::load(loaded.directory, snapshot, communicator, checkpoint::Surplus::ignore);
  model.backbone().parameters().touch();
  log::info(fmt::format("checkpoint: {} (step {})", loaded.directory.string(), loaded.manifest.step));

  train::EvaluatedNetwork network;
  network.batch = batch;
  network.dimension = config.model.embedding;
  network.embed = [&](const Tensor& images, std::span<float> out) { model.embed(images, out); };
  network.top_classes = [&](const float* embeddings, std::int64_t count) {
    return model.top_classes({embeddings, static_cast<std::size_t>(count * network.dimension)}, count,
                             eval::kClosedSetRanks);
  };
  const std::vector<eval::NamedResult> results = evaluation.run(network, communicator);
  comm::run_agreed(communicator, [&] {
    if (communicator.rank() != 0) return;
    fmt::print("{}", eval::to_table(results));
    if (!arguments.json.empty()) write_file(arguments.json, report_json(results, loaded));
  });
  return 0;
}

}  // namespace

Command add_evaluate(CLI::App& app) {
  const auto arguments = std::make_shared<EvaluateArguments>();
  app.add_option("--checkpoint", arguments->checkpoint, "A checkpoint, or a run's output (its newest checkpoint)")
      ->required();
  app.add_option("--verification", arguments->verification, "InsightFace verification files (.bin)");
  app.add_option("--pairs", arguments->pairs, "Pair lists: path<TAB>path<TAB>0|1");
  app.add_option("--pairs-root", arguments->pairs_root, "Folder that pair paths are relative to (default: the list's)");
  app.add_option("--list", arguments->lists, "Labelled lists for closed-set top-1 and top-5: path<TAB>label");
  app.add_option("--list-root", arguments->lists_root, "Folder that list paths are relative to (default: the list's)");
  app.add_option("--set", arguments->overrides, "Override one key of the run's configuration: --set eval.batch=32")
      ->allow_extra_args(false);
  app.add_option("--json", arguments->json, "Write the results here as JSON");
  return [arguments](const CommandLine& line) {
    return run_on_ranks(line.argc, line.argv,
                        [&](comm::Communicator& communicator) { return evaluate(*arguments, communicator); });
  };
}

}  // namespace plsc::app
