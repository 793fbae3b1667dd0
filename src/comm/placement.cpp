#include "plsc/comm/placement.h"

#include <fmt/format.h>

#include <cstdlib>
#include <set>
#include <sstream>

#include "comm/cpu_probe.h"
#include "comm/placement_rules.h"

namespace plsc::comm {

namespace {

/// What one rank tells the others, by lines: host, two CPU lists, two flags.
std::string encode(const RankCpus& rank, const std::string& host) {
  return fmt::format("{}\n{}\n{}\n{} {}", host, cpu_list_text(rank.allowed), cpu_list_text(rank.reachable),
                     rank.bound_by_default ? 1 : 0, rank.bound_by_openmp ? 1 : 0);
}

RankCpus decode(std::istream& lines) {
  RankCpus rank;
  std::string line;
  std::getline(lines, line);
  rank.allowed = parse_cpu_list(line);
  std::getline(lines, line);
  rank.reachable = parse_cpu_list(line);
  lines >> rank.bound_by_default >> rank.bound_by_openmp;
  return rank;
}

}  // namespace

std::string Placement::description() const {
  return fmt::format("{} rank{} on this host of {}, {} thread{} each, this rank {} CPUs {}", local_size,
                     local_size == 1 ? "" : "s", hosts, threads, threads == 1 ? "" : "s", pin ? "pinned to" : "on",
                     cpu_list_text(cpus));
}

Placement detect_placement(Communicator& communicator, int requested_threads, bool pinning) {
  const std::string my_host = host_identity();
  const Environment environment = [](const char* name) -> const char* { return std::getenv(name); };
  const RankCpus mine = probe_rank(environment, affinity_of_this_thread(), probe_ancestors());
  const std::vector<std::string> texts = communicator.all_gather_text(encode(mine, my_host));

  PlacementInput input;
  input.host = probe_host("/", mine.allowed);
  input.requested_threads = requested_threads;
  input.pinning = pinning;
  std::set<std::string> hosts;
  for (std::size_t rank = 0; rank < texts.size(); ++rank) {
    std::istringstream lines(texts[rank]);
    std::string host;
    std::getline(lines, host);
    hosts.insert(host);
    if (host != my_host) continue;
    if (static_cast<int>(rank) == communicator.rank()) input.local_rank = static_cast<int>(input.ranks.size());
    input.ranks.push_back(decode(lines));
  }
  Placement placement = decide_placement(input);
  placement.hosts = static_cast<int>(hosts.size());
  return placement;
}

bool apply_to_process(const Placement& placement) {
  return !placement.pin || set_affinity_of_this_thread(placement.cpus);
}

}  // namespace plsc::comm
