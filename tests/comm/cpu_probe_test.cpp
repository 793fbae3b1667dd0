#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>

#include "../src/comm/cpu_probe.h"
#include "support/temp_dir.h"

namespace plsc::comm {

namespace {

/// A root directory with files of proc and sys in it.
class FakeHost {
 public:
  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text << '\n';
  }
  HostCpus probe() const { return probe_host(root_.path(), {0}); }

 private:
  test::TempDir root_;
};

using Variables = std::map<std::string, std::string>;

/// A rank bound to CPU 1 by a launcher of this mask, behind a shell.
RankCpus probe_with(const Variables& variables, const std::string& launcher, const std::string& launcher_mask) {
  const auto environment = [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  return probe_rank(environment, {1}, {{"sh", {1}}, {launcher, parse_cpu_list(launcher_mask)}, {"bash", {0, 1, 2, 3}}});
}

RankCpus probe_with(const Variables& variables) { return probe_with(variables, "mpirun", "0-3"); }

const std::pair<const std::string, std::string> kLaunched{"OMPI_MCA_orte_bound_at_launch", "1"};

}  // namespace

TEST_CASE("CPU lists are read and written", "[placement]") {
  CHECK(parse_cpu_list("0-3,8") == std::vector<int>{0, 1, 2, 3, 8});
  CHECK(parse_cpu_list("5") == std::vector<int>{5});
  CHECK(parse_cpu_list("4,0-1") == std::vector<int>{0, 1, 4});
  for (const char* bad : {"", "a", "3-1", "-1", "1-", "1-2x", "1 2", "0-99999999"}) {
    INFO(bad);
    CHECK(parse_cpu_list(bad).empty());
  }
  CHECK(cpu_list_text({0, 1, 2, 3, 8, 10, 11}) == "0-3,8,10-11");
  CHECK(cpu_list_text({}).empty());
}

TEST_CASE("cores and sockets are read from sys", "[placement]") {
  const FakeHost host;
  host.write("sys/devices/system/cpu/online", "0-3");
  for (const int cpu : {0, 1, 2, 3}) {
    const std::string topology = "sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    host.write(topology + (cpu < 2 ? "core_cpus_list" : "thread_siblings_list"), cpu % 2 == 0 ? "0,2" : "1,3");
    host.write(topology + "physical_package_id", std::to_string(cpu % 2));
  }

  const HostCpus cpus = host.probe();

  REQUIRE(cpus.online.size() == 4);
  CHECK(cpus.online[2].cpu == 2);
  CHECK(cpus.online[2].core == 0);
  CHECK(cpus.online[3].core == 1);
  CHECK(cpus.online[3].package == 1);
  CHECK(cpus.limit == 0);
}

TEST_CASE("a host without sys has one core per CPU", "[placement]") {
  const FakeHost host;
  host.write("unrelated", "");

  const HostCpus cpus = probe_host("/nonexistent", {2, 5});

  REQUIRE(cpus.online.size() == 2);
  CHECK(cpus.online[1].cpu == 5);
  CHECK(cpus.online[1].core == 5);
  CHECK(cpus.limit == 0);
}

TEST_CASE("the smallest quota on the path of a v2 cgroup counts", "[placement]") {
  const FakeHost host;
  host.write("proc/self/cgroup", "0::/job/task");
  host.write("sys/fs/cgroup/job/task/cpu.max", "max 100000");
  host.write("sys/fs/cgroup/job/cpu.max", "250000 100000");

  CHECK(host.probe().limit == 2.5);
}

TEST_CASE("a container sees its v2 quota at the mount", "[placement]") {
  const FakeHost host;
  host.write("proc/self/cgroup", "0::/../../system.slice/docker-1.scope");
  host.write("sys/fs/cgroup/cpu.max", "400000 100000");

  CHECK(host.probe().limit == 4);
}

TEST_CASE("v1 quotas are read with joined and single controllers", "[placement]") {
  const FakeHost joined;
  joined.write("proc/self/cgroup", "5:memory:/m\n4:cpu,cpuacct:/docker/abc");
  joined.write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "150000");
  joined.write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000");
  const FakeHost single;
  single.write("proc/self/cgroup", "3:cpuset:/\n1:cpu:/elsewhere");
  single.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000");
  single.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
  const FakeHost unlimited;
  unlimited.write("proc/self/cgroup", "1:cpu:/");
  unlimited.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1");
  unlimited.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");

  CHECK(joined.probe().limit == 1.5);
  CHECK(single.probe().limit == 3);
  CHECK(unlimited.probe().limit == 0);
}

TEST_CASE("mpirun's default binding is told from the user's", "[placement]") {
  CHECK_FALSE(probe_with({}).bound_by_default);
  CHECK(probe_with({kLaunched}).bound_by_default);
  CHECK_FALSE(probe_with({kLaunched, {"OMPI_MCA_hwloc_base_binding_policy", "core"}}).bound_by_default);
  CHECK_FALSE(probe_with({kLaunched, {"OMPI_MCA_rmaps_base_mapping_policy", "slot:PE=2"}}).bound_by_default);
  CHECK(probe_with({kLaunched, {"OMPI_MCA_rmaps_base_mapping_policy", "slot"}}).bound_by_default);
}

TEST_CASE("OpenMP's binding variables are seen", "[placement]") {
  CHECK_FALSE(probe_with({}).bound_by_openmp);
  CHECK_FALSE(probe_with({{"OMP_PROC_BIND", "false"}}).bound_by_openmp);
  CHECK(probe_with({{"OMP_PROC_BIND", "close"}}).bound_by_openmp);
  CHECK(probe_with({{"OMP_PLACES", "cores"}}).bound_by_openmp);
  CHECK(probe_with({{"GOMP_CPU_AFFINITY", "0-3"}}).bound_by_openmp);
}

TEST_CASE("a rank could have what its launcher has, not more", "[placement]") {
  CHECK(probe_with({kLaunched}, "mpirun.openmpi", "0-2").reachable == std::vector<int>{0, 1, 2});
  CHECK(probe_with({kLaunched}, "orted", "0-1").reachable == std::vector<int>{0, 1});
  CHECK(probe_with({kLaunched}, "mpirun", "1").reachable == std::vector<int>{1});
  CHECK(probe_with({kLaunched}, "mpirun", "2-3").reachable == std::vector<int>{1});
  CHECK(probe_with({kLaunched}, "another", "0-3").reachable == std::vector<int>{1});
  CHECK(probe_with({}, "mpirun", "0-3").reachable == std::vector<int>{1});
}

TEST_CASE("a mask that OpenMP narrowed is looked up at the parent", "[placement]") {
  const auto environment = [](const char* name) { return std::string(name) == "OMP_PROC_BIND" ? "true" : nullptr; };

  const RankCpus rank = probe_rank(environment, {0}, {{"bash", {0, 1}}});

  CHECK(rank.reachable == std::vector<int>{0, 1});
}

TEST_CASE("this process has CPUs, ancestors and a host", "[placement]") {
  const std::vector<Ancestor> ancestors = probe_ancestors();

  CHECK_FALSE(affinity_of_this_thread().empty());
  for (const Ancestor& ancestor : ancestors) CHECK(std::ranges::is_sorted(ancestor.mask));
  CHECK_FALSE(host_identity().empty());
}

}  // namespace plsc::comm
