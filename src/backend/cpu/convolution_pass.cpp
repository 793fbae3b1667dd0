#include "backend/cpu/convolution_pass.h"

#include <fmt/format.h>

#include "backend/cpu/onednn_util.h"
#include "backend/cpu/team.h"
#include "plsc/core/error.h"

namespace plsc::backend {

namespace {

using dnnl::memory;

const char* name_of(ConvolutionDirection direction) {
  switch (direction) {
    case ConvolutionDirection::forward: return "forward";
    case ConvolutionDirection::backward_data: return "backward data";
    case ConvolutionDirection::backward_weights: return "backward weights";
  }
  return "?";
}

memory without_data(const memory::desc& desc, const dnnl::engine& engine) { return {desc, engine, nullptr}; }

std::size_t whole_lines(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

onednn::ConvolutionDescs descs_of(const ConvolutionProblem& problem, Layout source_layout, int block) {
  const ConvolutionSpec& spec = problem.spec;
  return {onednn::activation_desc(problem.input, source_layout, block),
          memory::desc({spec.out_channels, spec.in_channels, spec.kernel, spec.kernel}, memory::data_type::f32,
                       memory::format_tag::any),
          onednn::activation_desc(problem.output, Layout::blocked, block),
          {spec.stride, spec.stride},
          {spec.padding, spec.padding}};
}

}  // namespace

ConvolutionPass::ConvolutionPass(CpuContext& context, const ConvolutionProblem& problem, ConvolutionDirection direction)
    : context_(context), direction_(direction), input_layout_(problem.input_layout) {}

std::unique_ptr<ConvolutionPass> ConvolutionPass::make(CpuContext& context, const ConvolutionProblem& problem,
                                                       ConvolutionDirection direction, ConvolutionAlgorithm algorithm) {
  const TeamScope team(context.options.threads);
  std::unique_ptr<ConvolutionPass> pass(new ConvolutionPass(context, problem, direction));
  try {
    if (!pass->plan(problem, algorithm)) return nullptr;
  } catch (const dnnl::error& error) {
    const ConvolutionSpec& spec = problem.spec;
    throw Error(
        ErrorCode::internal,
        fmt::format("oneDNN cannot plan a convolution {} of {} by {}x{} weights {} -> {}, stride {}, padding {} "
                    "({}). Check the layer's channels, kernel and padding.",
                    name_of(direction), problem.input.text(), spec.kernel, spec.kernel, spec.in_channels,
                    spec.out_channels, spec.stride, spec.padding, error.what()));
  }
  return pass;
}

bool ConvolutionPass::plan(const ConvolutionProblem& problem, ConvolutionAlgorithm algorithm) {
  const dnnl::algorithm kind = algorithm == ConvolutionAlgorithm::winograd ? dnnl::algorithm::convolution_winograd
                                                                           : dnnl::algorithm::convolution_direct;
  stage_source_ = direction_ == ConvolutionDirection::backward_data && input_layout_ == Layout::plain;
  const Layout source_layout = stage_source_ ? Layout::blocked : input_layout_;
  const onednn::ConvolutionDescs descs = descs_of(problem, source_layout, context_.block);
  const auto forward = onednn::forward_desc(context_.engine, kind, descs);
  if (!forward) return false;

  if (direction_ == ConvolutionDirection::forward) {
    adopt(forward, forward.src_desc(), forward.weights_desc(), forward.dst_desc());
  } else if (direction_ == ConvolutionDirection::backward_data) {
    const auto desc = onednn::backward_data_desc(context_.engine, kind, descs, forward);
    if (!desc) return false;
    adopt(desc, desc.diff_src_desc(), desc.weights_desc(), desc.diff_dst_desc());
  } else {
    const auto desc = onednn::backward_weights_desc(context_.engine, kind, descs, forward);
    if (!desc) return false;
    adopt(desc, desc.src_desc(), desc.diff_weights_desc(), desc.diff_dst_desc());
  }
  plan_weight_reorders({problem.spec.out_channels, problem.spec.in_channels, problem.spec.kernel, problem.spec.kernel});
  if (stage_source_) {
    plan_source_reorder(onednn::activation_desc(problem.input, Layout::plain, 1), source_.get_desc());
  }
  context_.workspace.require(workspace_bytes_);
  return true;
}

template <class PrimitiveDesc>
void ConvolutionPass::adopt(const PrimitiveDesc& desc, const memory::desc& source, const memory::desc& weights,
                            const memory::desc& destination) {
  primitive_ = dnnl::primitive(desc);
  source_ = without_data(source, context_.engine);
  weights_ = without_data(weights, context_.engine);
  destination_ = without_data(destination, context_.engine);
  scratchpad_ = without_data(desc.scratchpad_desc(), context_.engine);
  weights_offset_ = whole_lines(scratchpad_.get_desc().get_size());
  source_offset_ = weights_offset_;
  workspace_bytes_ = weights_offset_;

  const bool forward = direction_ == ConvolutionDirection::forward;
  const bool data = direction_ == ConvolutionDirection::backward_data;
  arguments_ = {{data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, source_},
                {forward || data ? DNNL_ARG_WEIGHTS : DNNL_ARG_DIFF_WEIGHTS, weights_},
                {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, destination_},
                {DNNL_ARG_SCRATCHPAD, scratchpad_}};
}

void ConvolutionPass::plan_source_reorder(const memory::desc& plain, const memory::desc& blocked) {
  plain_source_ = without_data(plain, context_.engine);
  source_reorder_ = dnnl::reorder(onednn::reorder_desc(context_.engine, blocked, plain));
  source_offset_ = workspace_bytes_;
  workspace_bytes_ += whole_lines(blocked.get_size());
}

void ConvolutionPass::plan_weight_reorders(const Shape& shape) {
  const memory::desc plain = onednn::plain_desc({shape[0], shape[1], shape[2], shape[3]});
  const memory::desc wanted = weights_.get_desc();
  plain_weights_ = without_data(plain, context_.engine);
  if (direction_ == ConvolutionDirection::backward_weights) {
    reorder_weights_ = true;  // also where the layouts agree: accumulation needs it
    weights_reorder_ = dnnl::reorder(onednn::reorder_desc(context_.engine, wanted, plain));
    weights_add_ = dnnl::reorder(onednn::reorder_desc(context_.engine, wanted, plain, true));
    workspace_bytes_ = weights_offset_ + whole_lines(wanted.get_size());
    return;
  }
  reorder_weights_ = wanted != plain;
  if (!reorder_weights_) return;
  weights_reorder_ = dnnl::reorder(onednn::reorder_desc(context_.engine, plain, wanted));
  weights_copy_ = Tensor(context_.pool, Shape{static_cast<std::int64_t>(wanted.get_size())}, DType::u8);
  weights_.set_data_handle(weights_copy_.raw());
}

void ConvolutionPass::bind(const Tensor& source, const Tensor& destination) {
  std::byte* workspace = context_.workspace.data();
  (stage_source_ ? plain_source_ : source_).set_data_handle(source.raw());
  if (stage_source_) source_.set_data_handle(workspace + source_offset_);
  destination_.set_data_handle(destination.raw());
  scratchpad_.set_data_handle(workspace);
}

void ConvolutionPass::refresh_weights(Weights weights) {
  if (!reorder_weights_) {
    weights_.set_data_handle(weights.value.raw());
    return;
  }
  if (version_ == weights.version && version_of_ == weights.value.raw()) return;
  plain_weights_.set_data_handle(weights.value.raw());
  weights_reorder_.execute(context_.stream, plain_weights_, weights_);
  version_ = weights.version;
  version_of_ = weights.value.raw();
}

void ConvolutionPass::execute() {
  primitive_.execute(context_.stream, arguments_);
  context_.stream.wait();
}

void ConvolutionPass::run(const Tensor& source, Weights weights, const Tensor& destination) {
  const TeamScope team(context_.options.threads);
  bind(source, destination);
  refresh_weights(weights);
  execute();
  if (stage_source_) source_reorder_.execute(context_.stream, source_, plain_source_);
}

void ConvolutionPass::run_weights(const Tensor& source, const Tensor& destination, const Tensor& d_weights,
                                  bool accumulate) {
  const TeamScope team(context_.options.threads);
  bind(source, destination);
  weights_.set_data_handle(context_.workspace.data() + weights_offset_);
  plain_weights_.set_data_handle(d_weights.raw());
  execute();
  (accumulate ? weights_add_ : weights_reorder_).execute(context_.stream, weights_, plain_weights_);
}

}  // namespace plsc::backend
