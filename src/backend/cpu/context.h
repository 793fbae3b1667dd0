#pragma once
// What the planned operations of one CPU backend share.

#include <oneapi/dnnl/dnnl.hpp>

#include "backend/cpu/memory_pool.h"
#include "plsc/backend/backend.h"
#include "plsc/backend/cpu.h"

namespace plsc::backend {

/// One piece of memory for whatever a planned operation needs only while it runs. It grows when an operation is
/// planned, never in the steady state; operations of one backend run one after the other.
class Workspace {
 public:
  explicit Workspace(MemorySource& memory) : memory_(memory) {}

  void require(std::size_t bytes) {
    if (bytes <= memory_block_.bytes()) return;
    memory_block_ = Tensor();
    memory_block_ = Tensor(memory_, Shape{static_cast<std::int64_t>(bytes)}, DType::u8);
  }
  std::byte* data() const { return static_cast<std::byte*>(memory_block_.raw()); }

 private:
  MemorySource& memory_;
  Tensor memory_block_;
};

struct CpuContext {
  explicit CpuContext(const CpuOptions& given) : options(given) {}

  CpuOptions options;
  MemoryPool pool;
  Workspace workspace{pool};
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  int block = 1;  ///< channel block of blocked tensors
  TunedChoices tuned;
};

}  // namespace plsc::backend
