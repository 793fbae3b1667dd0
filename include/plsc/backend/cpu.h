#pragma once
// The CPU backend: oneDNN for convolutions and GEMM, own Highway kernels for the rest.

#include <memory>

#include "plsc/backend/backend.h"

namespace plsc::backend {

enum class ConvolutionChoice { automatic, direct, winograd };  ///< automatic: timed once per shape and direction

struct CpuOptions {
  int threads = 1;  ///< OpenMP team of the calling thread; use a backend from one thread at a time
  ConvolutionChoice convolution = ConvolutionChoice::automatic;
};

std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options);

}  // namespace plsc::backend
