#pragma once
// Ranks as MPI processes.

#include <memory>

#include "plsc/comm/communicator.h"

namespace plsc::comm {

/// Initialises MPI for its lifetime (once per process, in main). Without mpirun it is a world of one rank.
class MpiEnvironment {
 public:
  MpiEnvironment(int& argc, char**& argv);
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;
};

/// All ranks of the job. Needs a live MpiEnvironment.
std::unique_ptr<Communicator> make_mpi_communicator();

}  // namespace plsc::comm
