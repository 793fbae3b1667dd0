#pragma once
// Planned fully connected layer of the CPU backend. The weights stay where they are: at training batch sizes the input
// is far smaller than they are, so a blocked input is made plain instead, and weight gradients land in place.

#include <memory>

#include "backend/cpu/context.h"
#include "plsc/backend/linear.h"

namespace plsc::backend {

/// `context` must outlive the layer.
std::unique_ptr<Linear> make_cpu_linear(CpuContext& context, const LinearSpec& spec, const Shape& input, Layout layout);

}  // namespace plsc::backend
