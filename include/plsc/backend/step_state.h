#pragma once
// StepState: what all update kernels of one step read (contract C9). It lives in backend memory as a u8 tensor of
// sizeof(StepState) bytes, so that kernels see changes without a host branch.

#include <cstdint>

#include "plsc/core/tensor.h"

namespace plsc::backend {

struct StepState {
  float learning_rate = 0;       ///< backbone
  float head_learning_rate = 0;  ///< class rows
  float gradient_scale = 1;      ///< multiplies backbone gradients: clipping, inverse loss scale
  std::int32_t skip = 0;         ///< not 0: an agreed overflow or NaN; updates leave everything unchanged
  std::int64_t step = 0;
};

inline Tensor make_step_state(MemorySource& memory) {
  return Tensor(memory, Shape{static_cast<std::int64_t>(sizeof(StepState))}, DType::u8);
}

}  // namespace plsc::backend
