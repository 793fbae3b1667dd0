#include "comm/placement_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include "plsc/core/error.h"

namespace plsc::comm {

namespace {

using CpuSet = std::vector<int>;     ///< ascending
using Shares = std::vector<CpuSet>;  ///< one per local rank

CpuInfo info_of(const HostCpus& host, int cpu) {
  const auto found = std::ranges::find(host.online, cpu, &CpuInfo::cpu);
  return found == host.online.end() ? CpuInfo{cpu, cpu, 0} : *found;
}

/// The CPUs of a set by physical core; cores of one socket stand together.
std::vector<CpuSet> cores_of(const HostCpus& host, const CpuSet& cpus) {
  std::vector<CpuInfo> infos;
  for (const int cpu : cpus) infos.push_back(info_of(host, cpu));
  std::ranges::sort(infos, {}, [](const CpuInfo& info) { return std::tuple(info.package, info.core, info.cpu); });
  std::vector<CpuSet> cores;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (i == 0 || infos[i].core != infos[i - 1].core || infos[i].package != infos[i - 1].package) cores.emplace_back();
    cores.back().push_back(infos[i].cpu);
  }
  return cores;
}

int core_count(const HostCpus& host, const CpuSet& cpus) { return static_cast<int>(cores_of(host, cpus).size()); }

CpuSet union_of(const Shares& sets) {
  std::set<int> all;
  for (const CpuSet& set : sets) all.insert(set.begin(), set.end());
  return {all.begin(), all.end()};
}

bool overlap(const CpuSet& a, const CpuSet& b) {
  return std::ranges::any_of(a, [&](int cpu) { return std::ranges::binary_search(b, cpu); });
}

/// Whole cores for every rank: ranks with one mask divide it evenly, others keep theirs. Nothing where that cannot be
/// done: masks that overlap without being equal, or fewer cores than ranks.
std::optional<Shares> divide(const HostCpus& host, const Shares& masks) {
  Shares shares(masks.size());
  for (std::size_t rank = 0; rank < masks.size(); ++rank) {
    std::size_t sharers = 0;
    std::size_t place = 0;
    for (std::size_t other = 0; other < masks.size(); ++other) {
      if (masks[other] == masks[rank]) {
        place += other < rank ? 1 : 0;
        ++sharers;
      } else if (overlap(masks[other], masks[rank])) {
        return std::nullopt;
      }
    }
    const std::vector<CpuSet> cores = cores_of(host, masks[rank]);
    if (cores.size() < sharers) return std::nullopt;
    for (std::size_t i = place * cores.size() / sharers; i < (place + 1) * cores.size() / sharers; ++i) {
      shares[rank].insert(shares[rank].end(), cores[i].begin(), cores[i].end());
    }
    std::ranges::sort(shares[rank]);
  }
  return shares;
}

/// Cores of the rank that has fewest.
int fewest_cores(const HostCpus& host, const Shares& shares) {
  int fewest = core_count(host, shares.front());
  for (const CpuSet& share : shares) fewest = std::min(fewest, core_count(host, share));
  return fewest;
}

std::string plural(int count, const char* noun) { return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s"); }

void add_note(Placement& placement, const std::string& sentence) {
  placement.note += (placement.note.empty() ? "" : " ") + sentence;
}

template <class Member>
Shares collect(const std::vector<RankCpus>& ranks, Member member) {
  Shares sets;
  for (const RankCpus& rank : ranks) sets.push_back(rank.*member);
  return sets;
}

/// The masks to divide: the ranks' own, or what they could have where a launcher's default left cores unused.
Shares masks_to_divide(const PlacementInput& input, Placement& placement) {
  Shares masks = collect(input.ranks, &RankCpus::allowed);
  const Shares reachable = collect(input.ranks, &RankCpus::reachable);
  const std::optional<Shares> own = divide(input.host, masks);
  const std::optional<Shares> wide = divide(input.host, reachable);
  if (!wide) return masks;
  const int own_cores = own ? fewest_cores(input.host, *own) : 0;
  const int wide_cores = fewest_cores(input.host, *wide);
  if (own_cores >= wide_cores) return masks;

  const bool by_default = std::ranges::all_of(input.ranks, &RankCpus::bound_by_default);
  const std::string bound =
      own ? fmt::format("bound each rank to {} of the {} it could have", own_cores, plural(wide_cores, "core"))
          : std::string("bound the ranks to overlapping cores");
  if (by_default && input.pinning) {
    add_note(placement,
             fmt::format("The launcher {}; the binding is widened (mpirun --bind-to core keeps it).", bound));
    return reachable;
  }
  add_note(placement, fmt::format("The launcher {}; the binding is kept{} (mpirun --bind-to none lifts it).", bound,
                                  input.pinning ? "" : " because pinning is off"));
  return masks;
}

void choose_threads(const PlacementInput& input, const std::optional<Shares>& shares, int cores, Placement& placement) {
  const int ranks = placement.local_size;
  int budget = cores;
  if (input.host.limit > 0 && input.host.limit < cores) {
    budget = std::max(1, static_cast<int>(input.host.limit));
    add_note(placement, fmt::format("The cgroup grants the time of {:.3g} CPUs (of {}).", input.host.limit,
                                    plural(cores, "core")));
  }
  placement.threads = std::max(1, budget / ranks);
  if (shares) placement.threads = std::min(placement.threads, fewest_cores(input.host, *shares));
  if (input.requested_threads > 0) placement.threads = input.requested_threads;

  const int wanted = placement.threads * ranks;
  if (wanted > budget) {
    add_note(placement,
             fmt::format("{} with {} each share {}: fewer ranks or threads would be faster.", plural(ranks, "rank"),
                         plural(placement.threads, "thread"), plural(budget, "core")));
  }
}

}  // namespace

Placement decide_placement(const PlacementInput& input) {
  if (input.requested_threads < 0) {
    throw Error(ErrorCode::config, fmt::format("{} threads per rank were asked for (must be at least 1, or 0 to choose "
                                               "from the cores). Correct the number of threads.",
                                               input.requested_threads));
  }
  Placement placement;
  placement.local_rank = input.local_rank;
  placement.local_size = static_cast<int>(input.ranks.size());
  const RankCpus& mine = input.ranks[static_cast<std::size_t>(input.local_rank)];

  const bool openmp_places = std::ranges::any_of(input.ranks, &RankCpus::bound_by_openmp);
  const Shares masks = openmp_places ? collect(input.ranks, &RankCpus::reachable) : masks_to_divide(input, placement);
  const std::optional<Shares> shares = divide(input.host, masks);
  choose_threads(input, shares, core_count(input.host, union_of(masks)), placement);

  placement.cpus = openmp_places ? mine.reachable : mine.allowed;
  if (openmp_places) {
    add_note(placement, "OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY is set: OpenMP places the threads.");
  } else if (input.pinning && shares) {
    placement.cpus = (*shares)[static_cast<std::size_t>(input.local_rank)];
    placement.pin = placement.cpus != mine.allowed;
  } else if (input.pinning) {
    add_note(placement, "The ranks are not pinned (their CPUs cannot be divided into whole cores).");
  }
  return placement;
}

}  // namespace plsc::comm
