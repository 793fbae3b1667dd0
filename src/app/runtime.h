#pragma once
// What a command that computes needs on its rank: place on the host, backend.

#include <filesystem>
#include <memory>
#include <optional>

#include "plsc/backend/backend.h"
#include "plsc/comm/communicator.h"
#include "plsc/comm/placement.h"
#include "plsc/config/config.h"

namespace plsc::app {

struct Runtime {
  comm::Placement placement;
  std::unique_ptr<backend::Backend> backend;
};

/// Finds this rank's cores, pins to them, makes the backend that config.system names, and logs both. Collective.
Runtime make_runtime(const config::SystemConfig& config, comm::Communicator& communicator);

/// The checkpoint a path means: itself, the newest below it, or the newest of the run with this output; none: nullopt.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& path);

}  // namespace plsc::app
