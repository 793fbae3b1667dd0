#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>
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
#include "plsc/data/source.h"
#include "plsc/train/classification.h"
#include "plsc/train/timed_communicator.h"
#include "plsc/train/trainer.h"

namespace plsc::app {

namespace {

struct TrainArguments {
  std::string config;
  std::vector<std::string> overrides;
  bool resume = false;
  bool print_config = false;
};

/// Rank 0 reads the files, everybody gets the result: one message for a mistake, one file read for a thousand ranks.
config::Config shared_config(const TrainArguments& arguments, comm::Communicator& communicator) {
  config::Config config;
  std::string text;
  comm::run_agreed(communicator, [&] {
    if (communicator.rank() != 0) return;
    config = config::load_config(arguments.config, arguments.overrides);
    config::validate(config);
    text = config::to_yaml(config);
  });
  text = communicator.broadcast_text(text, 0);
  return config::parse_config(text, "configuration of rank 0");
}

/// A folder with checkpoints is another run's: never train over it.
void require_fresh_output(const config::Config& config, const TrainArguments& arguments) {
  const std::filesystem::path checkpoints = std::filesystem::path(config.train.output) / "checkpoints";
  if (arguments.resume || !checkpoint::find_latest(checkpoints)) return;
  throw Error(ErrorCode::config,
              fmt::format("train.output {} already holds checkpoints (of an earlier run). Add --resume "
                          "to continue it, or choose another train.output.",
                          config.train.output));
}

void require_enough_samples(const config::Config& config, const data::SampleSource& source, int ranks) {
  if (config.train.global_batch < ranks) {
    throw Error(ErrorCode::config,
                fmt::format("train.global_batch {} is smaller than the number of ranks {} (every rank "
                            "needs a sample). Use a larger batch or fewer ranks.",
                            config.train.global_batch, ranks));
  }
  if (source.size() < static_cast<std::uint64_t>(ranks)) {
    throw Error(ErrorCode::data,
                fmt::format("the training set has {} samples for {} ranks (every rank needs one). Use more "
                            "data or fewer ranks.",
                            source.size(), ranks));
  }
}

int train(const TrainArguments& arguments, comm::Communicator& communicator) {
  const config::Config config = shared_config(arguments, communicator);
  std::unique_ptr<data::SampleSource> source;
  comm::run_agreed(communicator, [&] {
    if (communicator.rank() == 0) require_fresh_output(config, arguments);
    // Every rank reads the same list; its warnings are worth reading once.
    if (communicator.rank() != 0) log::configure(communicator.rank(), communicator.size(), log::Level::error);
    source = data::open_source(config.data);
    log::configure(communicator.rank(), communicator.size(), log::Level::info);
    require_enough_samples(config, *source, communicator.size());
  });
  const train::Evaluation evaluation(config.eval, config.data, source->num_classes(), communicator);
  const Runtime runtime = make_runtime(config.system, communicator);
  log::info(fmt::format("data: {} images of {} classes, {}x{}", source->size(), source->num_classes(),
                        config.data.height, config.data.width));

  config::Config placed = config;
  if (placed.data.workers == 0) {
    placed.data.workers = data::default_workers(runtime.placement.threads, 1);
  }
  const train::CheckpointKeeper checkpoints(config, communicator);
  const std::optional<std::filesystem::path> newest = arguments.resume ? checkpoints.latest() : std::nullopt;
  if (newest) checkpoints.reuse_choices(*newest, *runtime.backend);

  train::PhaseTimer timer;
  const std::unique_ptr<comm::Communicator> timed = train::time_communication(communicator, timer);
  train::ClassificationMethod method(placed, *source, *runtime.backend, *timed, timer);
  train::Model& model = method.model();
  log::info(fmt::format("network: {}, {:.2f}M parameters, {:.3f} GMAC an image, embedding {}", config.model.network,
                        static_cast<double>(model.backbone().parameters().parameter_count()) / 1e6,
                        static_cast<double>(model.backbone().multiply_accumulates()) / 1e9, config.model.embedding));
  train::Trainer trainer(config, source->size(), method, evaluation, *runtime.backend, communicator, timer);
  if (newest) {
    trainer.resume(*newest);
  } else {
    if (arguments.resume) {
      log::warning(
          fmt::format("--resume: no complete checkpoint in {}; starting from the beginning", config.train.output));
    }
    if (!config.train.init_from.empty()) {
      const std::filesystem::path from = config.train.init_from;
      method.start_from(newest_checkpoint(from).value_or(from));
    }
  }
  const train::StopSignals signals;
  return trainer.run(train::StopSignals::requested) == train::RunEnd::stopped ? kExitStopped : 0;
}

}  // namespace

Command add_train(CLI::App& app) {
  const auto arguments = std::make_shared<TrainArguments>();
  app.add_option("-c,--config", arguments->config, "Configuration file (YAML)");
  app.add_option("--set", arguments->overrides, "Override one key: --set optim.lr=0.05 (repeat for more)")
      ->allow_extra_args(false);
  app.add_flag("--resume", arguments->resume, "Continue from the newest complete checkpoint of train.output");
  app.add_flag("--print-config", arguments->print_config, "Print the resolved configuration and exit");
  return [arguments](const CommandLine& line) {
    if (arguments->print_config) {
      fmt::print("{}", config::to_yaml(config::load_config(arguments->config, arguments->overrides)));
      return 0;
    }
    if (arguments->config.empty()) {
      throw Error(ErrorCode::usage, "no configuration given. Use --config FILE.yaml, or --help for all commands.");
    }
    return run_on_ranks(line.argc, line.argv,
                        [&](comm::Communicator& communicator) { return train(*arguments, communicator); });
  };
}

}  // namespace plsc::app
