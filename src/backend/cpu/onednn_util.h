#pragma once
// oneDNN behind one shape for 2.x and 3.x: the only file that asks for the version. Functions that make a descriptor
// return an empty one (operator bool is false) when this machine has no such implementation.

#include <oneapi/dnnl/dnnl.hpp>
#include <string>

#include "plsc/core/tensor.h"

namespace plsc::backend::onednn {

using dnnl::memory;

inline memory::desc plain_desc(const memory::dims& dims) {
  memory::dims strides(dims.size(), 1);
  for (std::size_t axis = dims.size() - 1; axis > 0; --axis) strides[axis - 1] = strides[axis] * dims[axis];
  return {dims, memory::data_type::f32, strides};
}

/// Row-major [rows, columns] seen as its transpose [columns, rows].
inline memory::desc transposed_desc(std::int64_t rows, std::int64_t columns) {
  return {{columns, rows}, memory::data_type::f32, memory::format_tag::ba};
}

/// [N, C, H, W] in the given layout of plsc::Tensor.
inline memory::desc activation_desc(const Shape& shape, Layout layout, int block) {
  const memory::dims dims{shape[0], shape[1], shape[2], shape[3]};
  if (layout == Layout::plain) return plain_desc(dims);
  return {dims, memory::data_type::f32, block == 16 ? memory::format_tag::nChw16c : memory::format_tag::nChw8c};
}

struct ConvolutionDescs {
  memory::desc source, weights, destination;
  memory::dims strides, padding;
};

inline dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

inline dnnl::convolution_forward::primitive_desc forward_desc(const dnnl::engine& engine, dnnl::algorithm algorithm,
                                                              const ConvolutionDescs& d) {
  constexpr auto kKind = dnnl::prop_kind::forward_training;
#if DNNL_VERSION_MAJOR >= 3
  return {engine,    kKind,     algorithm, d.source,          d.weights, d.destination,
          d.strides, d.padding, d.padding, user_scratchpad(), true};
#else
  return {{kKind, algorithm, d.source, d.weights, d.destination, d.strides, d.padding, d.padding},
          user_scratchpad(),
          engine,
          true};
#endif
}

inline dnnl::convolution_backward_data::primitive_desc backward_data_desc(
    const dnnl::engine& engine, dnnl::algorithm algorithm, const ConvolutionDescs& d,
    const dnnl::convolution_forward::primitive_desc& forward) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine,    algorithm, d.source, d.weights,         d.destination, d.strides,
          d.padding, d.padding, forward,  user_scratchpad(), true};
#else
  return {{algorithm, d.source, d.weights, d.destination, d.strides, d.padding, d.padding},
          user_scratchpad(),
          engine,
          forward,
          true};
#endif
}

inline dnnl::convolution_backward_weights::primitive_desc backward_weights_desc(
    const dnnl::engine& engine, dnnl::algorithm algorithm, const ConvolutionDescs& d,
    const dnnl::convolution_forward::primitive_desc& forward) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine,    algorithm, d.source, d.weights,         d.destination, d.strides,
          d.padding, d.padding, forward,  user_scratchpad(), true};
#else
  return {{algorithm, d.source, d.weights, d.destination, d.strides, d.padding, d.padding},
          user_scratchpad(),
          engine,
          forward,
          true};
#endif
}

/// c [M, N] = a [M, K] b [K, N] (+ bias [1, N] when it is not empty) (+ c when `accumulate`).
inline dnnl::matmul::primitive_desc matmul_desc(const dnnl::engine& engine, const memory::desc& a,
                                                const memory::desc& b, const memory::desc& bias, const memory::desc& c,
                                                bool accumulate) {
  dnnl::primitive_attr attributes = user_scratchpad();
  if (accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0F);
    attributes.set_post_ops(sum);
  }
#if DNNL_VERSION_MAJOR >= 3
  return {engine, a, b, bias, c, attributes};
#else
  return {{a, b, bias, c}, attributes, engine};
#endif
}

inline dnnl::reorder::primitive_desc reorder_desc(const dnnl::engine& engine, const memory::desc& from,
                                                  const memory::desc& to, bool accumulate = false) {
  dnnl::primitive_attr attributes = user_scratchpad();
  if (accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0F);
    attributes.set_post_ops(sum);
  }
  return {engine, from, engine, to, attributes};
}

/// "2.6.3"
inline std::string version_text() {
  const dnnl::version_t* version = dnnl::version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->patch);
}

struct Isa {
  std::string name;
  int channel_block;
};

/// The instruction set that oneDNN uses (DNNL_MAX_CPU_ISA limits it) and the channel block its kernels like.
inline Isa effective_isa() {
  using dnnl::cpu_isa;
  switch (dnnl::get_effective_cpu_isa()) {
    case cpu_isa::sse41: return {"sse41", 8};
    case cpu_isa::avx: return {"avx", 8};
    case cpu_isa::avx2: return {"avx2", 8};
    case cpu_isa::avx2_vnni: return {"avx2_vnni", 8};
    case cpu_isa::avx512_core: return {"avx512_core", 16};
    case cpu_isa::avx512_core_vnni: return {"avx512_core_vnni", 16};
    case cpu_isa::avx512_core_bf16: return {"avx512_core_bf16", 16};
    case cpu_isa::avx512_core_amx: return {"avx512_core_amx", 16};
#if DNNL_VERSION_MAJOR >= 3
    case cpu_isa::avx512_core_fp16: return {"avx512_core_fp16", 16};
    case cpu_isa::avx512_core_amx_fp16: return {"avx512_core_amx_fp16", 16};
    case cpu_isa::avx2_vnni_2: return {"avx2_vnni_2", 8};
#else
    case cpu_isa::avx512_mic: return {"avx512_mic", 16};
    case cpu_isa::avx512_mic_4ops: return {"avx512_mic_4ops", 16};
#endif
    default: return {"generic", 8};
  }
}

}  // namespace plsc::backend::onednn
