#include "data/render_parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace plsc::data {

int rendering_threads(int requested) {
  if (requested > 0) return requested;
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

void parallel_for(int threads, std::size_t count, const std::function<void(std::size_t)>& body,
                  const std::function<void(std::size_t)>& tick) {
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> finished{0};
  std::mutex mutex;
  std::exception_ptr failure;

  const auto work = [&](bool ticks) {
    try {
      for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
        body(i);
        const std::size_t done = finished.fetch_add(1) + 1;
        if (ticks && tick) tick(done);
      }
    } catch (...) {
      next.store(count);
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };

  {
    std::vector<std::jthread> helpers;
    const std::size_t wanted =
        std::min(static_cast<std::size_t>(std::max(threads, 1)), std::max<std::size_t>(count, 1));
    for (std::size_t i = 1; i < wanted; ++i) helpers.emplace_back(work, false);
    work(true);
  }
  if (failure) std::rethrow_exception(failure);
  if (tick && count > 0) tick(count);
}

}  // namespace plsc::data
