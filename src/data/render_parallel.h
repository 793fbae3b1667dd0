#pragma once
// A loop over independent items on several threads.

#include <cstddef>
#include <functional>

namespace plsc::data {

/// Number of threads that 0 ("all cores") and other requests mean.
int rendering_threads(int requested);

/// Runs body(i) for every i in [0, count). The calling thread takes part and calls tick(finished items) between its
/// items. The first exception of any thread ends the loop early and is thrown again here.
void parallel_for(int threads, std::size_t count, const std::function<void(std::size_t)>& body,
                  const std::function<void(std::size_t)>& tick = {});

}  // namespace plsc::data
