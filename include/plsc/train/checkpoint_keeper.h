#pragma once
// CheckpointKeeper: where a run's checkpoints are, which one continues it, and which ones stay.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plsc/backend/backend.h"
#include "plsc/comm/communicator.h"
#include "plsc/config/config.h"
#include "plsc/train/method.h"

namespace plsc::train {

using Metrics = std::vector<std::pair<std::string, double>>;

class CheckpointKeeper {
 public:
  /// Checkpoints lie in <train.output>/checkpoints. `config` is saved with each of them.
  CheckpointKeeper(const config::Config& config, comm::Communicator& communicator);

  const std::filesystem::path& root() const { return root_; }
  /// Newest complete checkpoint of this run, the same on all ranks. Collective.
  std::optional<std::filesystem::path> latest() const;
  /// Before the network is planned: makes `backend` use the timed choices of the run that wrote `directory`, when that
  /// was on a like machine, so that a resume is equal bit by bit (contract C13).
  void reuse_choices(const std::filesystem::path& directory, backend::Backend& backend) const;
  /// Loads `directory` into `method`; returns the step it was written at. Throws when it belongs to another model or
  /// another global batch. Collective.
  std::int64_t resume(const std::filesystem::path& directory, Method& method) const;
  /// Saves and removes what checkpoint.keep and keep_best no longer cover. metrics: of an evaluation at this very step,
  /// the leading one first; empty without one. Collective.
  std::filesystem::path save(Method& method, std::int64_t step, const Metrics& metrics);
  /// The checkpoint with the best metric so far, on rank 0 (others: nullopt); nullopt without evaluations.
  std::optional<std::filesystem::path> best() const;

 private:
  config::Config config_;
  comm::Communicator* communicator_;
  std::filesystem::path root_;
};

}  // namespace plsc::train
