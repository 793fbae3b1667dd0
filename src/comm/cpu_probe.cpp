#include "comm/cpu_probe.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>
#include <sstream>
#include <string_view>
#include <thread>

namespace plsc::comm {

namespace {

namespace fs = std::filesystem;

constexpr int kMaxCpus = 8192;  // the largest kernel configuration

struct FreeCpuSet {
  void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};
using CpuSetPointer = std::unique_ptr<cpu_set_t, FreeCpuSet>;

/// First line of a file; nothing where it cannot be read.
std::optional<std::string> read_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  return line;
}

std::optional<int> read_int(const fs::path& file) {
  const std::optional<std::string> line = read_line(file);
  int value = 0;
  if (!line || std::from_chars(line->data(), line->data() + line->size(), value).ec != std::errc()) return std::nullopt;
  return value;
}

/// Affinity of a process; empty where the kernel does not tell.
std::vector<int> affinity_of(pid_t process) {
  const CpuSetPointer set(CPU_ALLOC(kMaxCpus));
  const std::size_t bytes = CPU_ALLOC_SIZE(kMaxCpus);
  CPU_ZERO_S(bytes, set.get());
  if (sched_getaffinity(process, bytes, set.get()) != 0) return {};
  std::vector<int> cpus;
  for (int cpu = 0; cpu < kMaxCpus; ++cpu) {
    if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes, set.get())) cpus.push_back(cpu);
  }
  return cpus;
}

/// 0 at the end of the chain and where /proc does not tell.
pid_t parent_of(pid_t process) {
  std::ifstream in(fmt::format("/proc/{}/status", process));
  constexpr std::string_view kKey = "PPid:";
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(kKey)) return static_cast<pid_t>(std::strtol(line.c_str() + kKey.size(), nullptr, 10));
  }
  return 0;
}

/// mpirun, or the daemon that stands for it on other hosts.
bool is_mpi_launcher(const std::string& name) {
  constexpr std::array kNames = {"mpirun", "mpiexec", "orterun", "orted", "prterun", "prted"};
  return std::ranges::any_of(kNames, [&](const char* known) { return name.starts_with(known); });
}

/// The mask that the launcher itself has, so that it could have given all of it to us; shells and wrappers between it
/// and us carry our binding. Without a launcher OpenMP may have narrowed our mask after our parent left it wide.
std::vector<int> reachable_cpus(const RankCpus& rank, bool launched, const std::vector<Ancestor>& ancestors) {
  const auto source = launched ? std::ranges::find_if(ancestors, is_mpi_launcher, &Ancestor::name) : ancestors.begin();
  const bool known = (launched || rank.bound_by_openmp) && source != ancestors.end();
  return known && std::ranges::includes(source->mask, rank.allowed) ? source->mask : rank.allowed;
}

/// Smallest of limit(directory) for a cgroup and all its parents up to the mount; inside a container the group's path
/// may be the host's, of which only the mount exists.
template <class Limit>
double smallest_limit(const fs::path& mount, const std::string& group, Limit&& limit) {
  double smallest = 0;
  for (fs::path below = fs::path(group).relative_path();; below = below.parent_path()) {
    const double value = limit(mount / below);
    if (value > 0 && (smallest == 0 || value < smallest)) smallest = value;
    if (below.empty()) return smallest;
  }
}

double limit_v2(const fs::path& directory) {
  std::istringstream line(read_line(directory / "cpu.max").value_or("max"));
  double quota = 0;
  double period = 0;
  return line >> quota >> period && period > 0 ? quota / period : 0;
}

double limit_v1(const fs::path& directory) {
  const int quota = read_int(directory / "cpu.cfs_quota_us").value_or(-1);
  const int period = read_int(directory / "cpu.cfs_period_us").value_or(0);
  return quota > 0 && period > 0 ? static_cast<double>(quota) / period : 0;
}

/// Lines of /proc/self/cgroup: "0::/group" (v2) and "4:cpu,cpuacct:/group" (v1).
double cgroup_limit(const fs::path& root) {
  std::ifstream in(root / "proc/self/cgroup");
  const fs::path mount = root / "sys/fs/cgroup";
  double smallest = 0;
  for (std::string line; std::getline(in, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    double limit = 0;
    if (controllers.empty()) {
      limit = smallest_limit(mount, group, limit_v2);
    } else if (fmt::format(",{},", controllers).find(",cpu,") != std::string::npos) {
      const fs::path named = fs::exists(mount / controllers) ? mount / controllers : mount / "cpu";
      limit = smallest_limit(named, group, limit_v1);
    }
    if (limit > 0 && (smallest == 0 || limit < smallest)) smallest = limit;
  }
  return smallest;
}

CpuInfo probe_cpu(const fs::path& cpus, int cpu) {
  const fs::path topology = cpus / fmt::format("cpu{}", cpu) / "topology";
  std::optional<std::string> siblings = read_line(topology / "core_cpus_list");
  if (!siblings) siblings = read_line(topology / "thread_siblings_list");
  const std::vector<int> on_core = parse_cpu_list(siblings.value_or(""));
  return {cpu, on_core.empty() ? cpu : on_core.front(), read_int(topology / "physical_package_id").value_or(0)};
}

}  // namespace

std::vector<int> parse_cpu_list(const std::string& text) {
  std::vector<int> cpus;
  std::istringstream in(text);
  for (std::string range; std::getline(in, range, ',');) {
    const char* end = range.data() + range.size();
    int first = 0;
    auto parsed = std::from_chars(range.data(), end, first);
    int last = first;
    if (parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '-') {
      parsed = std::from_chars(parsed.ptr + 1, end, last);
    }
    if (parsed.ec != std::errc() || parsed.ptr != end || first < 0 || last < first || last >= kMaxCpus) return {};
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
  }
  std::ranges::sort(cpus);
  return cpus;
}

std::string cpu_list_text(const std::vector<int>& cpus) {
  std::string text;
  for (std::size_t begin = 0; begin < cpus.size();) {
    std::size_t last = begin;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    text += text.empty() ? "" : ",";
    text += last == begin ? fmt::format("{}", cpus[begin]) : fmt::format("{}-{}", cpus[begin], cpus[last]);
    begin = last + 1;
  }
  return text;
}

HostCpus probe_host(const fs::path& root, const std::vector<int>& fallback) {
  const fs::path cpus = root / "sys/devices/system/cpu";
  std::vector<int> online = parse_cpu_list(read_line(cpus / "online").value_or(""));
  if (online.empty()) online = fallback;
  HostCpus host;
  for (const int cpu : online) host.online.push_back(probe_cpu(cpus, cpu));
  host.limit = cgroup_limit(root);
  return host;
}

std::vector<Ancestor> probe_ancestors() {
  std::vector<Ancestor> ancestors;
  for (pid_t process = getppid(); process > 0; process = parent_of(process)) {
    ancestors.push_back({read_line(fmt::format("/proc/{}/comm", process)).value_or(""), affinity_of(process)});
  }
  return ancestors;
}

RankCpus probe_rank(const Environment& environment, const std::vector<int>& allowed,
                    const std::vector<Ancestor>& ancestors) {
  const auto is_set = [&](const char* name) { return environment(name) != nullptr; };
  const auto value = [&](const char* name) { return std::string(is_set(name) ? environment(name) : ""); };
  RankCpus rank;
  rank.allowed = allowed;
  const std::string proc_bind = value("OMP_PROC_BIND");
  rank.bound_by_openmp = (!proc_bind.empty() && proc_bind != "false" && proc_bind != "FALSE") || is_set("OMP_PLACES") ||
                         is_set("GOMP_CPU_AFFINITY");
  // Open MPI tells its ranks that it bound them, and passes on the options that the user gave.
  constexpr std::array kUserOptions = {"OMPI_MCA_hwloc_base_binding_policy", "OMPI_MCA_hwloc_base_cpu_set",
                                       "OMPI_MCA_hwloc_base_cpu_list", "OMPI_MCA_orte_rankfile",
                                       "OMPI_MCA_rmaps_rank_file_path"};
  const bool launched = is_set("OMPI_MCA_orte_bound_at_launch");
  rank.bound_by_default = launched && std::ranges::none_of(kUserOptions, is_set) &&
                          value("OMPI_MCA_rmaps_base_mapping_policy").find("PE=") == std::string::npos;
  rank.reachable = reachable_cpus(rank, launched, ancestors);
  return rank;
}

std::string host_identity() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return fmt::format("{} {}", name.data(), read_line("/proc/sys/kernel/random/boot_id").value_or(""));
}

std::vector<int> affinity_of_this_thread() {
  std::vector<int> cpus = affinity_of(0);
  if (cpus.empty()) {
    cpus.resize(std::max(1U, std::thread::hardware_concurrency()));
    std::iota(cpus.begin(), cpus.end(), 0);
  }
  return cpus;
}

bool set_affinity_of_this_thread(const std::vector<int>& cpus) {
  const CpuSetPointer set(CPU_ALLOC(kMaxCpus));
  const std::size_t bytes = CPU_ALLOC_SIZE(kMaxCpus);
  CPU_ZERO_S(bytes, set.get());
  for (const int cpu : cpus) CPU_SET_S(static_cast<std::size_t>(cpu), bytes, set.get());
  return sched_setaffinity(0, bytes, set.get()) == 0;
}

}  // namespace plsc::comm
