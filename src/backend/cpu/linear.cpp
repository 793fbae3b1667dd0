#include "backend/cpu/linear.h"

#include <fmt/format.h>

#include <unordered_map>

#include "backend/cpu/onednn_util.h"
#include "backend/cpu/team.h"
#include "plsc/core/error.h"

namespace plsc::backend {

namespace {

using dnnl::memory;

/// c = a b (+ bias) (+ c), planned once for fixed layouts.
class Product {
 public:
  Product(CpuContext& context, const memory::desc& a, const memory::desc& b, const memory::desc& bias,
          const memory::desc& c, bool accumulate)
      : context_(context) {
    const auto desc = onednn::matmul_desc(context.engine, a, b, bias, c, accumulate);
    primitive_ = dnnl::matmul(desc);
    const bool has_bias = bias.get_size() > 0;
    const auto bare = [&](const memory::desc& d) { return memory(d, context.engine, nullptr); };
    arguments_ = {{DNNL_ARG_SRC, bare(a)},
                  {DNNL_ARG_WEIGHTS, bare(b)},
                  {DNNL_ARG_DST, bare(c)},
                  {DNNL_ARG_SCRATCHPAD, bare(desc.scratchpad_desc())}};
    if (has_bias) arguments_.emplace(DNNL_ARG_BIAS, bare(bias));
    context.workspace.require(desc.scratchpad_desc().get_size());
  }

  void run(const void* a, const void* b, const void* bias, void* c) {
    bind(DNNL_ARG_SRC, a);
    bind(DNNL_ARG_WEIGHTS, b);
    if (bias != nullptr) bind(DNNL_ARG_BIAS, bias);
    bind(DNNL_ARG_DST, c);
    bind(DNNL_ARG_SCRATCHPAD, context_.workspace.data());
    primitive_.execute(context_.stream, arguments_);
    context_.stream.wait();
  }

 private:
  void bind(int argument, const void* data) { arguments_.at(argument).set_data_handle(const_cast<void*>(data)); }

  CpuContext& context_;
  dnnl::matmul primitive_;
  std::unordered_map<int, memory> arguments_;
};

class CpuLinear final : public Linear {
 public:
  CpuLinear(CpuContext& context, const LinearSpec& spec, const Shape& input, Layout layout)
      : context_(context),
        spec_(spec),
        batch_(input[0]),
        blocked_(layout == Layout::blocked),
        x_(onednn::plain_desc({batch_, spec.in_features})),
        y_(onednn::plain_desc({batch_, spec.out_features})),
        w_(onednn::plain_desc({spec.out_features, spec.in_features})),
        forward_(context, x_, onednn::transposed_desc(spec.out_features, spec.in_features),
                 spec.bias ? onednn::plain_desc({1, spec.out_features}) : memory::desc(), y_, false),
        data_(context, y_, w_, {}, x_, false),
        weights_(context, onednn::transposed_desc(batch_, spec.out_features), x_, {}, w_, false),
        weights_add_(context, onednn::transposed_desc(batch_, spec.out_features), x_, {}, w_, true) {
    if (blocked_) plan_reorders(input);
  }

  void forward(const Tensor& input, Weights weights, const Tensor* bias, const Tensor& output) override {
    const TeamScope team(context_.options.threads);
    const Tensor x = plain_of(input);
    forward_.run(x.raw(), weights.value.raw(), spec_.bias ? bias->raw() : nullptr, output.raw());
  }

  void backward_data(const Tensor& d_output, Weights weights, const Tensor& d_input) override {
    const TeamScope team(context_.options.threads);
    if (!blocked_) {
      data_.run(d_output.raw(), weights.value.raw(), nullptr, d_input.raw());
      return;
    }
    const Tensor x(context_.pool, d_input.shape(), DType::f32);
    data_.run(d_output.raw(), weights.value.raw(), nullptr, x.raw());
    plain_memory_.set_data_handle(x.raw());
    blocked_memory_.set_data_handle(d_input.raw());
    to_blocked_.execute(context_.stream, plain_memory_, blocked_memory_);
  }

  void backward_weights(const Tensor& input, const Tensor& d_output, const Tensor& d_weights, const Tensor* d_bias,
                        bool accumulate) override {
    const TeamScope team(context_.options.threads);
    const Tensor x = plain_of(input);
    (accumulate ? weights_add_ : weights_).run(d_output.raw(), x.raw(), nullptr, d_weights.raw());
    if (d_bias != nullptr) sum_rows(d_output.data<float>(), d_bias->data<float>(), accumulate);
  }

 private:
  void plan_reorders(const Shape& input) {
    const memory::desc plain = onednn::activation_desc(input, Layout::plain, 1);
    const memory::desc blocked = onednn::activation_desc(input, Layout::blocked, context_.block);
    plain_memory_ = memory(plain, context_.engine, nullptr);
    blocked_memory_ = memory(blocked, context_.engine, nullptr);
    to_plain_ = dnnl::reorder(onednn::reorder_desc(context_.engine, blocked, plain));
    to_blocked_ = dnnl::reorder(onednn::reorder_desc(context_.engine, plain, blocked));
  }

  Tensor plain_of(const Tensor& input) {
    if (!blocked_) return input;
    const Tensor x(context_.pool, input.shape(), DType::f32);
    blocked_memory_.set_data_handle(input.raw());
    plain_memory_.set_data_handle(x.raw());
    to_plain_.execute(context_.stream, blocked_memory_, plain_memory_);
    return x;
  }

  /// d_bias [O] (+)= column sums of d_output [B, O], in sample order.
  void sum_rows(const float* d_output, float* d_bias, bool accumulate) const {
    parallel_ranges(context_.options.threads, spec_.out_features, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t o = begin; o < end; ++o) {
        double sum = 0;
        for (std::int64_t n = 0; n < batch_; ++n) sum += d_output[n * spec_.out_features + o];
        d_bias[o] = static_cast<float>(sum) + (accumulate ? d_bias[o] : 0.0F);
      }
    });
  }

  CpuContext& context_;
  LinearSpec spec_;
  std::int64_t batch_;
  bool blocked_;
  memory::desc x_, y_, w_;  // [B, I], [B, O], [O, I]
  Product forward_, data_, weights_, weights_add_;
  memory plain_memory_, blocked_memory_;  // the input as [B, C, H, W]
  dnnl::reorder to_plain_, to_blocked_;
};

}  // namespace

std::unique_ptr<Linear> make_cpu_linear(CpuContext& context, const LinearSpec& spec, const Shape& input,
                                        Layout layout) {
  if (input.elements() != input[0] * spec.in_features) {
    throw Error(ErrorCode::internal,
                fmt::format("a linear layer of {} inputs cannot take {} ({} values a sample). Give it the features of "
                            "the layer before it.",
                            spec.in_features, input.text(), input.elements() / input[0]));
  }
  const TeamScope team(context.options.threads);
  try {
    return std::make_unique<CpuLinear>(context, spec, input, layout);
  } catch (const dnnl::error& error) {
    throw Error(
        ErrorCode::internal,
        fmt::format("oneDNN cannot plan a linear layer {} -> {} for a batch of {} ({}). Check the layer's sizes.",
                    spec.in_features, spec.out_features, input[0], error.what()));
  }
}

}  // namespace plsc::backend
