#pragma once
// What the kernel says about CPUs, read below a root directory so that tests can bring a host of their own.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "placement_rules.h"

namespace plsc::comm {

/// "0-3,8" <-> {0, 1, 2, 3, 8}. Text that is no list gives an empty one.
std::vector<int> parse_cpu_list(const std::string& text);
std::string cpu_list_text(const std::vector<int>& cpus);

/// Online CPUs, cores and sockets from root/sys; without it, `fallback` CPUs of one core each. The limit comes from
/// root/proc/self/cgroup and the cgroup trees v1 and v2 in root/sys/fs/cgroup.
HostCpus probe_host(const std::filesystem::path& root, const std::vector<int>& fallback);

/// A process that led to this one, and the CPUs that it may use.
struct Ancestor {
  std::string name;
  std::vector<int> mask;  ///< ascending
};

/// Parent first.
std::vector<Ancestor> probe_ancestors();

using Environment = std::function<const char*(const char*)>;  ///< like getenv

/// How this process came to the mask `allowed`.
RankCpus probe_rank(const Environment& environment, const std::vector<int>& allowed,
                    const std::vector<Ancestor>& ancestors);

/// Names the machine, or the container, whose CPUs this process uses.
std::string host_identity();

/// The calling thread's affinity mask, ascending; set_affinity is false when the kernel refuses.
std::vector<int> affinity_of_this_thread();
bool set_affinity_of_this_thread(const std::vector<int>& cpus);

}  // namespace plsc::comm
