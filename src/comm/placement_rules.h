#pragma once
// Who gets which CPUs of a host: a pure function of what all its ranks see, so that every rank comes to the same
// answer.

#include <vector>

#include "plsc/comm/placement.h"

namespace plsc::comm {

struct CpuInfo {
  int cpu = 0;      ///< logical CPU
  int core = 0;     ///< physical core: the lowest logical CPU on it
  int package = 0;  ///< socket
};

struct HostCpus {
  std::vector<CpuInfo> online;
  double limit = 0;  ///< CPUs' worth of time that the cgroup grants; 0: no limit
};

/// What one rank of the host may use.
struct RankCpus {
  std::vector<int> allowed;       ///< its affinity mask, ascending
  std::vector<int> reachable;     ///< what it could have: the launcher's own mask, ascending; never less than allowed
  bool bound_by_default = false;  ///< the launcher narrowed the mask without having been asked to
  bool bound_by_openmp = false;   ///< OMP_PROC_BIND or a relative places the threads
};

struct PlacementInput {
  int local_rank = 0;
  std::vector<RankCpus> ranks;  ///< all ranks of the host, by local rank
  HostCpus host;
  int requested_threads = 0;  ///< 0: choose
  bool pinning = true;
};

/// Everything but Placement::hosts, which stays 1.
Placement decide_placement(const PlacementInput& input);

}  // namespace plsc::comm
