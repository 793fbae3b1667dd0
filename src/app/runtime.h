#pragma once
// What a command that computes needs on its rank: place on the host, backend.

#include <memory>

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

}  // namespace plsc::app
