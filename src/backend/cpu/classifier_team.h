#pragma once
// How the classifier's tiles use threads: each part of a team works on rows of its own, with products that run in one
// thread, so that no part waits for another inside a tile and results do not depend on timing.

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "backend/cpu/team.h"

namespace plsc::backend::cpu {

/// body(part) for part in [0, parts), one thread each if the system gives as many. body must not throw.
template <class Body>
void run_team(int parts, const Body& body) {
  if (parts == 1) {
    const TeamScope serial(1);  // oneDNN takes all threads unless a parallel region is active
    body(0);
    return;
  }
#pragma omp parallel num_threads(parts)
  for (int part = omp_get_thread_num(); part < parts; part += omp_get_num_threads()) body(part);
}

struct Range {
  std::int64_t begin;
  std::int64_t end;
  std::int64_t size() const { return end - begin; }
};

/// Part `part` of [0, total) in `parts` contiguous pieces whose sizes are multiples of `multiple` (but the last).
inline Range part_range(std::int64_t total, int part, int parts, std::int64_t multiple = 1) {
  const std::int64_t units = (total + multiple - 1) / multiple;
  const std::int64_t begin = units * part / parts * multiple;
  const std::int64_t end = units * (part + 1) / parts * multiple;
  return {std::min(begin, total), std::min(end, total)};
}

}  // namespace plsc::backend::cpu
