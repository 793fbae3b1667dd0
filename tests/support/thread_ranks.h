#pragma once
// Ranks as threads of one process, for tests of distributed logic without mpirun.

#include <functional>

#include "plsc/comm/communicator.h"

namespace plsc::test {

/// Runs `body` once per rank, each in its own thread with its own Communicator. The first exception (lowest rank) is
/// rethrown after all threads ended; a rank that fails wakes the others out of their collectives.
void run_thread_ranks(int size, const std::function<void(comm::Communicator&)>& body);

}  // namespace plsc::test
