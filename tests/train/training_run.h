#pragma once
// A whole small training run on ranks as threads, for tests: made-up images of a few classes, the smallest network.

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "plsc/comm/communicator.h"
#include "plsc/config/config.h"
#include "plsc/train/trainer.h"

namespace plsc::test {

/// Writes `classes` * `per_class` images of 16x16 and train.txt into `folder`; images of a class are alike.
void write_training_set(const std::filesystem::path& folder, int classes, int per_class);

/// A configuration that trains iresnet_tiny on `folder` into `output`: one computing thread, direct convolutions,
/// synchronised BatchNorm, no augmentation by default.
config::Config small_config(const std::filesystem::path& folder, const std::filesystem::path& output);

struct RunOutcome {
  train::RunEnd end = train::RunEnd::finished;
  std::vector<double> losses;  ///< per step, from metrics.jsonl (log_every = 1)
};

/// Runs training on `ranks` threads, continuing the newest checkpoint of config.train.output when `resume`.
/// `stop_requested` is asked by every rank after every step (rank, call number from 1); empty: never.
using StopRequested = std::function<bool(int rank, int call)>;
RunOutcome run_training(const config::Config& config, int ranks, bool resume = false,
                        const StopRequested& stop_requested = {});

/// All tensors of a checkpoint as f32: backbone, optimizer and head (whole rows), by name.
std::map<std::string, std::vector<float>> read_tensors(const std::filesystem::path& checkpoint,
                                                       const config::Config& config);

}  // namespace plsc::test
