#pragma once
// Loops over one backend's thread team. The split never changes a result: bodies write disjoint places, and partial
// results are per index, not per thread.

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace plsc::backend {

/// body(i) for i in [0, count), contiguous shares per thread.
template <class Body>
void parallel_for(int threads, std::int64_t count, const Body& body) {
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && count > 1)
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

inline constexpr std::int64_t kGrain = 1 << 15;  ///< elements per piece of an element-wise loop

inline std::int64_t pieces_of(std::int64_t size) { return (size + kGrain - 1) / kGrain; }

/// body(begin, end) over pieces of kGrain elements of [0, size).
template <class Body>
void parallel_ranges(int threads, std::int64_t size, const Body& body) {
  parallel_for(threads, pieces_of(size), [&](std::int64_t i) { body(i * kGrain, std::min(size, (i + 1) * kGrain)); });
}

/// oneDNN takes its team size from the calling thread's OpenMP setting: sets it for a scope.
class TeamScope {
 public:
  explicit TeamScope(int threads) : previous_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~TeamScope() { omp_set_num_threads(previous_); }
  TeamScope(const TeamScope&) = delete;
  TeamScope& operator=(const TeamScope&) = delete;

 private:
  int previous_;
};

}  // namespace plsc::backend
