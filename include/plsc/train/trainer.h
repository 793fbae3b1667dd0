#pragma once
// Trainer: the loop around Method::step: schedule, logs, evaluation, checkpoints, stop requests.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plsc/backend/backend.h"
#include "plsc/comm/communicator.h"
#include "plsc/config/config.h"
#include "plsc/optim/schedule.h"
#include "plsc/train/checkpoint_keeper.h"
#include "plsc/train/evaluation.h"
#include "plsc/train/method.h"
#include "plsc/train/phase_timer.h"
#include "plsc/train/run_log.h"
#include "plsc/train/stop.h"

namespace plsc::train {

/// What an epoch is, in samples, and how long the run takes.
struct Span {
  std::uint64_t samples_per_epoch = 0;
  double steps_per_epoch = 0;
  std::int64_t total_steps = 0;
};
Span span_of(const config::TrainConfig& config, std::uint64_t samples);

enum class RunEnd { finished, stopped };

class Trainer {
 public:
  /// References must outlive the trainer. Collective.
  Trainer(const config::Config& config, std::uint64_t samples, Method& method, const Evaluation& evaluation,
          backend::Backend& backend, comm::Communicator& communicator, PhaseTimer& timer);

  /// Continues from this checkpoint. Collective.
  void resume(const std::filesystem::path& checkpoint);
  /// Trains to the end, or until `stop_requested` was true on some rank: then all ranks stop after the same step and a
  /// checkpoint is saved. Collective.
  RunEnd run(const std::function<bool()>& stop_requested);

 private:
  void step();
  void report();
  void evaluate();
  void save();
  bool due(double every_steps) const;

  config::Config config_;
  Method* method_;
  const Evaluation* evaluation_;
  backend::Backend* backend_;
  comm::Communicator* communicator_;
  PhaseTimer* timer_;
  Span span_;
  optim::Schedule schedule_;
  CheckpointKeeper checkpoints_;
  std::unique_ptr<comm::Communicator> control_;  ///< stop agreement only
  StopAgreement stop_;
  RunLog log_;
  std::int64_t step_ = 0;  ///< steps done
  StepReport window_;      ///< since the last report
  Metrics metrics_;        ///< of the evaluation at step_, if there was one
  std::optional<std::filesystem::path> newest_checkpoint_;
};

}  // namespace plsc::train
