#pragma once
// Where the ranks of a job run and what each may use of its host: threads per rank and the CPUs they are kept on.

#include <string>
#include <vector>

#include "plsc/comm/communicator.h"

namespace plsc::comm {

/// One rank's place. `threads` is equal on all ranks of a host.
struct Placement {
  int local_rank = 0;  ///< among the ranks of this host
  int local_size = 1;  ///< ranks on this host
  int hosts = 1;
  int threads = 1;        ///< size of this rank's team of computing threads
  std::vector<int> cpus;  ///< logical CPUs for all threads of this rank, ascending
  bool pin = false;       ///< whether `cpus` differ from what the process has now, so that apply_to_process() acts
  std::string note;       ///< what the user should know: narrow bindings, oversubscription; empty when all is well

  /// "2 ranks on this host of 1, 4 threads each, this rank pinned to CPUs 0-3"
  std::string description() const;
};

/// Looks at CPUs, affinity and cgroup limits of this process and of the other ranks on its host. `requested_threads` 0:
/// the physical cores this host's ranks may use, divided by those ranks. Without `pinning` the CPUs of the process stay
/// as they are. A binding that mpirun made by default may be widened, one that the user asked for is kept. Collective.
Placement detect_placement(Communicator& communicator, int requested_threads, bool pinning);

/// Keeps the calling thread, and every thread made from it afterwards, on placement.cpus; does nothing unless
/// placement.pin. Call it in main before any thread team exists. False when the kernel refused.
[[nodiscard]] bool apply_to_process(const Placement& placement);

}  // namespace plsc::comm
