#include "app/runtime.h"

#include <fmt/format.h>

#include "plsc/backend/cpu.h"
#include "plsc/checkpoint/checkpoint.h"
#include "plsc/comm/agreement.h"
#include "plsc/core/error.h"
#include "plsc/core/log.h"

namespace plsc::app {

namespace {

backend::ConvolutionChoice choice_of(config::ConvAlgorithm algorithm) {
  switch (algorithm) {
    case config::ConvAlgorithm::automatic: return backend::ConvolutionChoice::automatic;
    case config::ConvAlgorithm::direct: return backend::ConvolutionChoice::direct;
    case config::ConvAlgorithm::winograd: return backend::ConvolutionChoice::winograd;
  }
  return backend::ConvolutionChoice::automatic;
}

std::unique_ptr<backend::Backend> make_backend(const config::SystemConfig& config, int threads) {
  if (config.device == "cpu") return backend::make_cpu_backend({threads, choice_of(config.convolution)});
  throw Error(
      ErrorCode::unavailable,
      fmt::format("system.device '{}' is not in this build (it has: cpu). Use system.device=cpu.", config.device));
}

}  // namespace

Runtime make_runtime(const config::SystemConfig& config, comm::Communicator& communicator) {
  Runtime runtime;
  runtime.placement =
      comm::detect_placement(communicator, config.threads, config.pinning == config::Pinning::automatic);
  if (!comm::apply_to_process(runtime.placement)) log::warning("could not pin this rank to its CPUs (system.pinning)");
  comm::run_agreed(communicator, [&] { runtime.backend = make_backend(config, runtime.placement.threads); });
  log::info(communicator.description());
  log::info(runtime.placement.description());
  if (!runtime.placement.note.empty()) log::info(runtime.placement.note);
  log::info(runtime.backend->description());
  return runtime;
}

std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& path) {
  if (const auto found = checkpoint::find_latest(path)) return found;
  return checkpoint::find_latest(path / "checkpoints");
}

}  // namespace plsc::app
