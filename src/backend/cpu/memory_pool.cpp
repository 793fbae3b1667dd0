#include "backend/cpu/memory_pool.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <limits>
#include <memory>
#include <utility>

#include "plsc/core/error.h"

namespace plsc::backend {

namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::size_t machine_memory() {
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// Linux grants more than the machine has and kills the process later; so what cannot fit is refused here.
void* system_allocate(std::size_t capacity, std::size_t reserved) {
  if (capacity > machine_memory() || reserved > machine_memory() - capacity) return nullptr;
  if (capacity < kHugePage) return std::aligned_alloc(kLine, capacity);
  void* data = std::aligned_alloc(kHugePage, capacity);
  if (data != nullptr) madvise(data, capacity, MADV_HUGEPAGE);  // a hint; refusal costs speed only
  return data;
}

}  // namespace

std::size_t MemoryPool::class_size(std::size_t bytes) {
  if (bytes <= kLine) return kLine;
  if (bytes > std::numeric_limits<std::size_t>::max() / 4) return bytes;  // fails in allocate()
  const std::size_t step = std::max(std::bit_floor(bytes - 1) / 8, bytes < kHugePage ? kLine : kHugePage);
  return (bytes + step - 1) / step * step;
}

MemoryPool::~MemoryPool() { free_unused(); }

MemoryBlock* MemoryPool::acquire(std::size_t bytes) {
  const std::size_t capacity = class_size(bytes);
  const std::lock_guard lock(mutex_);
  MemoryBlock*& head = free_[capacity];
  MemoryBlock* block = head;
  if (block != nullptr) {
    head = std::exchange(block->next, nullptr);
  } else {
    block = allocate(bytes, capacity);
  }
  block->bytes = bytes;
  block->references = 1;
  statistics_.live_bytes += capacity;
  statistics_.peak_bytes = std::max(statistics_.peak_bytes, statistics_.live_bytes);
  return block;
}

MemoryBlock* MemoryPool::allocate(std::size_t bytes, std::size_t capacity) {
  auto block = std::make_unique<MemoryBlock>();
  void* data = system_allocate(capacity, statistics_.reserved_bytes);
  if (data == nullptr) {
    free_unused();
    data = system_allocate(capacity, statistics_.reserved_bytes);
  }
  if (data == nullptr) {
    throw Error(
        ErrorCode::unavailable,
        fmt::format(
            "out of memory: {} bytes were refused ({} bytes are in use by the CPU backend, the machine has {}). "
            "Use a smaller batch, a smaller network, or more machines.",
            bytes, statistics_.live_bytes, machine_memory()));
  }
  block->data = data;
  block->capacity = capacity;
  block->source = this;
  statistics_.reserved_bytes += capacity;
  ++statistics_.system_allocations;
  return block.release();
}

void MemoryPool::release(MemoryBlock* block) noexcept {
  const std::lock_guard lock(mutex_);
  statistics_.live_bytes -= block->capacity;
  const auto place = free_.find(block->capacity);  // acquire() made the entry
  block->next = std::exchange(place->second, block);
}

void MemoryPool::free_unused() noexcept {
  for (auto& [capacity, head] : free_) {
    while (head != nullptr) {
      const std::unique_ptr<MemoryBlock> block(std::exchange(head, head->next));
      std::free(block->data);
      statistics_.reserved_bytes -= capacity;
    }
  }
}

MemoryStatistics MemoryPool::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

}  // namespace plsc::backend
