#pragma once
// One direction of one convolution by one algorithm: the oneDNN primitive, its memory objects, and the reorders between
// what the primitive wants and the project's layouts.

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "backend/cpu/context.h"
#include "plsc/backend/convolution.h"

namespace plsc::backend {

enum class ConvolutionDirection { forward, backward_data, backward_weights };
enum class ConvolutionAlgorithm { direct, winograd };

struct ConvolutionProblem {
  ConvolutionSpec spec;
  Shape input;
  Shape output;
  Layout input_layout = Layout::blocked;
};

class ConvolutionPass {
 public:
  /// Empty when oneDNN has no such implementation for the problem on this machine.
  static std::unique_ptr<ConvolutionPass> make(CpuContext& context, const ConvolutionProblem& problem,
                                               ConvolutionDirection direction, ConvolutionAlgorithm algorithm);

  /// forward reads `source` and writes `destination` (both activations); backward_data the other way round.
  void run(const Tensor& source, Weights weights, const Tensor& destination);
  /// backward_weights; `d_weights` is plain.
  void run_weights(const Tensor& source, const Tensor& destination, const Tensor& d_weights, bool accumulate);

  Layout input_layout() const { return input_layout_; }
  void forget_weights() { version_.reset(); }  ///< the next run reorders them again

 private:
  ConvolutionPass(CpuContext& context, const ConvolutionProblem& problem, ConvolutionDirection direction);

  bool plan(const ConvolutionProblem& problem, ConvolutionAlgorithm algorithm);
  template <class PrimitiveDesc>
  void adopt(const PrimitiveDesc& desc, const dnnl::memory::desc& source, const dnnl::memory::desc& weights,
             const dnnl::memory::desc& destination);
  void plan_source_reorder(const dnnl::memory::desc& plain, const dnnl::memory::desc& blocked);
  void plan_weight_reorders(const Shape& shape);
  void bind(const Tensor& source, const Tensor& destination);
  void refresh_weights(Weights weights);
  void execute();

  CpuContext& context_;
  ConvolutionDirection direction_;
  Layout input_layout_;

  dnnl::primitive primitive_;
  dnnl::memory source_, weights_, destination_, scratchpad_;
  std::unordered_map<int, dnnl::memory> arguments_;

  // Plain input (the stem) of a backward_data pass: oneDNN has only a reference kernel, so the primitive writes a
  // blocked gradient to the workspace and a reorder makes it plain.
  bool stage_source_ = false;
  dnnl::memory plain_source_;
  dnnl::reorder source_reorder_;

  // Weights as the primitive wants them. forward, backward_data: a copy made when the version changes;
  // backward_weights: the primitive's result in the workspace, reordered (and added) to the plain gradient.
  bool reorder_weights_ = false;
  dnnl::memory plain_weights_;
  dnnl::reorder weights_reorder_, weights_add_;
  Tensor weights_copy_;
  std::optional<std::uint64_t> version_;
  const void* version_of_ = nullptr;

  // Places in the workspace, bytes.
  std::size_t weights_offset_ = 0;
  std::size_t source_offset_ = 0;
  std::size_t workspace_bytes_ = 0;
};

}  // namespace plsc::backend
