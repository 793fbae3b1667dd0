#pragma once
// Runs a command on the ranks of the job and turns errors into one message and an exit code.

#include <functional>

#include "plsc/comm/communicator.h"

namespace plsc::app {

/// MPI when an MPI launcher started this process (mpirun, srun with PMI), else a world of one. Every error that leaves
/// `body` is printed once, by the rank it happened on (rank 0 for errors that all ranks share); then all ranks end
/// with its exit code.
int run_on_ranks(int argc, char** argv, const std::function<int(comm::Communicator&)>& body);

/// "error: ..." on stderr; `who` is empty or "rank 2 of 4".
void print_error(const char* text, const std::string& who);

}  // namespace plsc::app
