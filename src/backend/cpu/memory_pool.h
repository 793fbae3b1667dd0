#pragma once
// The CPU backend's memory: free lists by size class, so that a repeated pattern of requests asks the system only the
// first time.

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

#include "plsc/backend/backend.h"
#include "plsc/core/tensor.h"

namespace plsc::backend {

/// Eight size classes per power of two (at most 12.5%, or one huge page, unused); a block only ever serves its own
/// class, which makes the second round of any pattern free of system calls. Blocks of 2 MiB and more are aligned to
/// huge pages, others to 64 bytes. Thread-safe.
class MemoryPool final : public MemorySource {
 public:
  MemoryPool() = default;
  ~MemoryPool() override;
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  MemoryBlock* acquire(std::size_t bytes) override;
  void release(MemoryBlock* block) noexcept override;
  MemoryStatistics statistics() const;

  /// Smallest class size that holds `bytes`.
  static std::size_t class_size(std::size_t bytes);

 private:
  MemoryBlock* allocate(std::size_t bytes, std::size_t capacity);
  void free_unused() noexcept;

  mutable std::mutex mutex_;
  std::map<std::size_t, MemoryBlock*> free_;  // class size -> list through MemoryBlock::next
  MemoryStatistics statistics_;
};

}  // namespace plsc::backend
