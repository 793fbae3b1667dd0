#pragma once
// Ranks as MPI processes.

#include <memory>
#include <string>

#include "plsc/comm/communicator.h"

namespace plsc::comm {

/// Initialises MPI for its lifetime (once per process, in main). Without mpirun it is a world of one rank. MPI is only
/// called from the thread that made it. Left because of an exception it does not finalise, since that waits for peers
/// that may never come: the handler then calls abort_job().
class MpiEnvironment {
 public:
  MpiEnvironment(int& argc, char**& argv);
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

 private:
  int exceptions_at_start_;  ///< std::uncaught_exceptions() when this was made
};

/// Name and version of the MPI library: "Open MPI v4.1.4".
std::string mpi_library();

/// Ends every rank of the job with this exit code, at once; only this process where MPI is not running. First gives the
/// launcher time to take over what was written to stdout and stderr, so that a rank's own message comes before MPI's.
/// Needs no communicator: for handlers in main.
[[noreturn]] void abort_job(int exit_code);

/// All ranks of the job. Needs a live MpiEnvironment. Collective.
std::unique_ptr<Communicator> make_mpi_communicator();

}  // namespace plsc::comm
