#include "plsc/comm/placement.h"

#include <catch2/catch.hpp>
#include <thread>

#include "../src/comm/cpu_probe.h"
#include "../src/comm/placement_rules.h"
#include "plsc/comm/self.h"
#include "plsc/core/error.h"
#include "support/thread_ranks.h"

namespace plsc::comm {

namespace {

/// `cores` cores, numbered as kernels do: with two hardware threads, CPU n and CPU n + cores share a core.
HostCpus make_host(int cores, int threads_per_core = 1, int packages = 1) {
  HostCpus host;
  for (int cpu = 0; cpu < cores * threads_per_core; ++cpu) {
    host.online.push_back({cpu, cpu % cores, cpu % cores * packages / cores});
  }
  return host;
}

std::vector<int> all_cpus(const HostCpus& host) {
  std::vector<int> cpus;
  for (const CpuInfo& info : host.online) cpus.push_back(info.cpu);
  return cpus;
}

/// `ranks` ranks that may use every CPU.
PlacementInput unbound(const HostCpus& host, int ranks) {
  PlacementInput input;
  input.host = host;
  input.ranks.assign(static_cast<std::size_t>(ranks), {all_cpus(host), all_cpus(host), false, false});
  return input;
}

/// Ranks with these masks on a host whose launcher could use every CPU.
PlacementInput bound(const HostCpus& host, const std::vector<std::string>& masks, bool by_default) {
  PlacementInput input;
  input.host = host;
  for (const std::string& mask : masks) {
    input.ranks.push_back({parse_cpu_list(mask), all_cpus(host), by_default, false});
  }
  return input;
}

Placement place_rank(PlacementInput input, int local_rank) {
  input.local_rank = local_rank;
  return decide_placement(input);
}

std::string cpus_of(const PlacementInput& input, int local_rank) {
  return cpu_list_text(place_rank(input, local_rank).cpus);
}

}  // namespace

TEST_CASE("one rank alone uses every core and needs no pinning", "[placement]") {
  const Placement place = decide_placement(unbound(make_host(4), 1));

  CHECK(place.local_size == 1);
  CHECK(place.threads == 4);
  CHECK(cpu_list_text(place.cpus) == "0-3");
  CHECK_FALSE(place.pin);
  CHECK(place.note.empty());
}

TEST_CASE("ranks without a binding divide the cores evenly", "[placement]") {
  const PlacementInput input = unbound(make_host(8), 2);

  const Placement second = place_rank(input, 1);

  CHECK(cpus_of(input, 0) == "0-3");
  CHECK(cpu_list_text(second.cpus) == "4-7");
  CHECK(second.threads == 4);
  CHECK(second.local_rank == 1);
  CHECK(second.local_size == 2);
  CHECK(second.pin);
  CHECK(second.note.empty());
}

TEST_CASE("cores that do not divide are all used, with equal teams", "[placement]") {
  const PlacementInput input = unbound(make_host(8), 3);

  CHECK(cpus_of(input, 0) == "0-1");
  CHECK(cpus_of(input, 1) == "2-4");
  CHECK(cpus_of(input, 2) == "5-7");
  for (int rank = 0; rank < 3; ++rank) CHECK(place_rank(input, rank).threads == 2);
}

TEST_CASE("hardware threads of a core stay together and do not count as cores", "[placement]") {
  const PlacementInput input = unbound(make_host(4, 2), 2);

  const Placement first = place_rank(input, 0);

  CHECK(first.threads == 2);
  CHECK(cpu_list_text(first.cpus) == "0-1,4-5");
  CHECK(cpus_of(input, 1) == "2-3,6-7");
}

TEST_CASE("a rank gets cores of one socket however CPUs are numbered", "[placement]") {
  PlacementInput input = unbound(make_host(4), 2);
  for (CpuInfo& info : input.host.online) info.package = info.cpu % 2;

  CHECK(cpus_of(input, 0) == "0,2");
  CHECK(cpus_of(input, 1) == "1,3");
}

TEST_CASE("a binding that gives each rank its share is kept", "[placement]") {
  const PlacementInput input = bound(make_host(4), {"0,2", "1,3"}, true);

  const Placement first = place_rank(input, 0);

  CHECK(cpu_list_text(first.cpus) == "0,2");
  CHECK(first.threads == 2);
  CHECK_FALSE(first.pin);
  CHECK(first.note.empty());
}

TEST_CASE("ranks that share a socket's mask divide it", "[placement]") {
  const PlacementInput input = bound(make_host(8, 1, 2), {"0-3", "0-3", "4-7", "4-7"}, true);

  CHECK(cpus_of(input, 0) == "0-1");
  CHECK(cpus_of(input, 1) == "2-3");
  CHECK(cpus_of(input, 2) == "4-5");
  CHECK(cpus_of(input, 3) == "6-7");
  CHECK(place_rank(input, 3).threads == 2);
  CHECK(place_rank(input, 3).pin);
}

TEST_CASE("mpirun's default of one core per rank is widened, and said so", "[placement]") {
  const PlacementInput input = bound(make_host(4), {"0", "1"}, true);

  const Placement second = place_rank(input, 1);

  CHECK(cpus_of(input, 0) == "0-1");
  CHECK(cpu_list_text(second.cpus) == "2-3");
  CHECK(second.threads == 2);
  CHECK(second.pin);
  CHECK_THAT(second.note, Catch::Contains("1 of the 2 cores") && Catch::Contains("widened"));
}

TEST_CASE("a single rank under mpirun gets the whole host", "[placement]") {
  const Placement place = decide_placement(bound(make_host(4), {"0"}, true));

  CHECK(place.threads == 4);
  CHECK(cpu_list_text(place.cpus) == "0-3");
  CHECK(place.pin);
}

TEST_CASE("a narrow binding that the user asked for is kept", "[placement]") {
  const Placement place = decide_placement(bound(make_host(4), {"0", "1"}, false));

  CHECK(cpu_list_text(place.cpus) == "0");
  CHECK(place.threads == 1);
  CHECK_FALSE(place.pin);
  CHECK_THAT(place.note, Catch::Contains("is kept") && Catch::Contains("--bind-to none"));
}

TEST_CASE("a mask narrowed outside of the launcher is simply the machine", "[placement]") {
  PlacementInput input = unbound(make_host(8), 2);
  for (RankCpus& rank : input.ranks) rank.allowed = rank.reachable = {4, 5, 6, 7};

  CHECK(cpus_of(input, 0) == "4-5");
  CHECK(cpus_of(input, 1) == "6-7");
  CHECK(place_rank(input, 0).threads == 2);
  CHECK(place_rank(input, 0).note.empty());
}

TEST_CASE("without pinning everything stays as the launcher made it", "[placement]") {
  PlacementInput shared = unbound(make_host(4), 2);
  PlacementInput narrow = bound(make_host(4), {"0", "1"}, true);
  shared.pinning = narrow.pinning = false;

  const Placement on_shared = place_rank(shared, 1);
  const Placement on_narrow = place_rank(narrow, 1);

  CHECK(cpu_list_text(on_shared.cpus) == "0-3");
  CHECK(on_shared.threads == 2);
  CHECK_FALSE(on_shared.pin);
  CHECK(cpu_list_text(on_narrow.cpus) == "1");
  CHECK(on_narrow.threads == 1);
  CHECK_FALSE(on_narrow.pin);
  CHECK_THAT(on_narrow.note, Catch::Contains("pinning is off"));
}

TEST_CASE("more ranks than cores run unpinned with one thread each", "[placement]") {
  const Placement place = place_rank(unbound(make_host(2), 4), 3);

  CHECK(place.threads == 1);
  CHECK_FALSE(place.pin);
  CHECK(cpu_list_text(place.cpus) == "0-1");
  CHECK_THAT(place.note, Catch::Contains("4 ranks with 1 thread each share 2 cores") && Catch::Contains("not pinned"));
}

TEST_CASE("a wanted number of threads wins and is warned about when it is too large", "[placement]") {
  PlacementInput input = unbound(make_host(4), 2);
  input.requested_threads = 1;
  const Placement few = decide_placement(input);
  input.requested_threads = 3;
  const Placement many = decide_placement(input);

  CHECK(few.threads == 1);
  CHECK(cpu_list_text(few.cpus) == "0-1");
  CHECK(few.note.empty());
  CHECK(many.threads == 3);
  CHECK_THAT(many.note, Catch::Contains("2 ranks with 3 threads each share 4 cores"));
}

TEST_CASE("a negative number of threads is refused", "[placement]") {
  PlacementInput input = unbound(make_host(4), 2);
  input.requested_threads = -2;

  CHECK_THROWS_WITH(decide_placement(input), Catch::Contains("-2 threads per rank") && Catch::Contains("at least 1"));
}

TEST_CASE("a cgroup's quota bounds the teams", "[placement]") {
  PlacementInput input = unbound(make_host(8), 2);
  input.host.limit = 5.5;
  const Placement place = decide_placement(input);
  input.host.limit = 0.5;
  const Placement tiny = decide_placement(input);

  CHECK(place.threads == 2);
  CHECK(cpu_list_text(place.cpus) == "0-3");
  CHECK_THAT(place.note, Catch::Contains("5.5 CPUs"));
  CHECK(tiny.threads == 1);
  CHECK_THAT(tiny.note, Catch::Contains("share 1 core"));
}

TEST_CASE("a quota above the cores changes nothing", "[placement]") {
  PlacementInput input = unbound(make_host(4), 1);
  input.host.limit = 16;

  CHECK(decide_placement(input).threads == 4);
  CHECK(decide_placement(input).note.empty());
}

TEST_CASE("masks that overlap in part are left alone", "[placement]") {
  PlacementInput input = unbound(make_host(4), 2);
  input.ranks[0].allowed = input.ranks[0].reachable = {0, 1, 2};
  input.ranks[1].allowed = input.ranks[1].reachable = {2, 3};

  const Placement place = decide_placement(input);

  CHECK(place.threads == 2);
  CHECK_FALSE(place.pin);
  CHECK(cpu_list_text(place.cpus) == "0-2");
  CHECK_THAT(place.note, Catch::Contains("not pinned"));
}

TEST_CASE("OpenMP's own placement is respected", "[placement]") {
  PlacementInput input = bound(make_host(4), {"0", "0"}, false);
  for (RankCpus& rank : input.ranks) rank.bound_by_openmp = true;

  const Placement place = place_rank(input, 1);

  CHECK(place.threads == 2);
  CHECK_FALSE(place.pin);
  CHECK_THAT(place.note, Catch::Contains("OMP_PROC_BIND"));
}

TEST_CASE("every CPU belongs to one rank at most and every rank has whole cores", "[placement]") {
  for (int cores = 1; cores <= 12; ++cores) {
    for (int ranks = 1; ranks <= cores; ++ranks) {
      const PlacementInput input = unbound(make_host(cores, 2), ranks);
      std::vector<int> owners(static_cast<std::size_t>(2 * cores), 0);
      for (int rank = 0; rank < ranks; ++rank) {
        const Placement place = place_rank(input, rank);
        for (const int cpu : place.cpus) ++owners[static_cast<std::size_t>(cpu)];
        REQUIRE(place.threads == cores / ranks);
        REQUIRE(static_cast<int>(place.cpus.size()) >= 2 * place.threads);
      }
      for (const int owner : owners) REQUIRE(owner == 1);
    }
  }
}

TEST_CASE("a placement describes itself", "[placement]") {
  Placement place = place_rank(unbound(make_host(8), 2), 1);
  place.hosts = 3;
  const Placement alone = decide_placement(unbound(make_host(1), 1));

  CHECK(place.description() == "2 ranks on this host of 3, 4 threads each, this rank pinned to CPUs 4-7");
  CHECK(alone.description() == "1 rank on this host of 1, 1 thread each, this rank on CPUs 0");
}

TEST_CASE("ranks on this machine find each other", "[placement]") {
  test::run_thread_ranks(3, [](Communicator& comm) {
    const Placement place = detect_placement(comm, 1, false);

    test::expect(place.local_rank == comm.rank() && place.local_size == 3 && place.hosts == 1, "local ranks");
    test::expect(place.threads == 1 && !place.pin && !place.cpus.empty(), "threads and CPUs");
  });
}

TEST_CASE("threads made after pinning inherit the CPUs", "[placement]") {
  std::vector<int> inherited;
  std::vector<int> untouched;
  std::vector<int> before;
  int wanted = -1;
  bool applied = false;

  std::thread([&] {  // a thread of its own: the test program must keep its affinity
    before = affinity_of_this_thread();
    Placement place;
    place.cpus = {before.back()};
    wanted = before.back();
    applied = apply_to_process(place);
    untouched = affinity_of_this_thread();
    place.pin = true;
    applied = applied && apply_to_process(place);
    std::thread([&] { inherited = affinity_of_this_thread(); }).join();
  })
      .join();

  if (!applied) {
    WARN("this system does not let a process set its affinity");
    return;
  }
  CHECK(untouched == before);
  CHECK(inherited == std::vector<int>{wanted});
}

TEST_CASE("CPUs that do not exist are refused by the kernel, not fatal", "[placement]") {
  Placement place;
  place.cpus = {8000};
  place.pin = true;

  CHECK_FALSE(apply_to_process(place));
}

}  // namespace plsc::comm
