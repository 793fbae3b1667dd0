#pragma once
// BatchNorm of the CPU backend: planes spread over the team, partial results combined in a fixed order.

#include <memory>

#include "plsc/backend/batch_norm.h"

namespace plsc::backend {

/// Temporary memory comes from `memory`, which must outlive the result.
std::unique_ptr<BatchNorm> make_cpu_batch_norm(MemorySource& memory, int threads, const BatchNormSpec& spec,
                                               const Shape& input);

}  // namespace plsc::backend
