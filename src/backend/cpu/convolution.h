#pragma once
// Planned convolution of the CPU backend: picks the algorithm of each direction.

#include <memory>

#include "backend/cpu/convolution_pass.h"

namespace plsc::backend {

/// `context` must outlive the convolution.
std::unique_ptr<Convolution> make_cpu_convolution(CpuContext& context, const ConvolutionSpec& spec, const Shape& input);

}  // namespace plsc::backend
