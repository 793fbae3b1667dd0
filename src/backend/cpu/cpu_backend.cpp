#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "backend/cpu/batch_norm.h"
#include "backend/cpu/classifier_tile.h"
#include "backend/cpu/context.h"
#include "backend/cpu/convolution.h"
#include "backend/cpu/elementwise.h"
#include "backend/cpu/linear.h"
#include "backend/cpu/onednn_util.h"
#include "backend/cpu/team.h"
#include "plsc/backend/cpu.h"
#include "plsc/core/error.h"

namespace plsc::backend {

namespace {

std::int64_t count_of(const Tensor& tensor) { return static_cast<std::int64_t>(tensor.elements()); }

StepState& step_state(const Tensor& state) { return *reinterpret_cast<StepState*>(state.data<std::uint8_t>()); }

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const CpuOptions& options) : context_(options) {
    const onednn::Isa isa = onednn::effective_isa();
    context_.block = isa.channel_block;
    isa_ = isa.name;
  }

  std::string description() const override {
    return fmt::format("cpu: oneDNN {}, {}, Highway {}, {} thread{}", onednn::version_text(), isa_,
                       kernels::simd_target(), threads(), threads() == 1 ? "" : "s");
  }
  MemorySource& memory() override { return context_.pool; }
  MemoryStatistics memory_statistics() const override { return context_.pool.statistics(); }
  int channel_block() const override { return context_.block; }
  int threads() const override { return context_.options.threads; }
  void synchronize() override {}  // every call has finished when it returns

  std::unique_ptr<Convolution> make_convolution(const ConvolutionSpec& spec, const Shape& input) override {
    return make_cpu_convolution(context_, spec, input);
  }
  std::unique_ptr<Linear> make_linear(const LinearSpec& spec, const Shape& input, Layout layout) override {
    return make_cpu_linear(context_, spec, input, layout);
  }
  std::unique_ptr<BatchNorm> make_batch_norm(const BatchNormSpec& spec, const Shape& input) override {
    return make_cpu_batch_norm(context_.pool, threads(), spec, input);
  }
  std::unique_ptr<ClassifierTile> make_classifier_tile(const ClassifierTileSpec& spec) override {
    return make_cpu_classifier_tile(spec, threads(), context_.pool);
  }

  const TunedChoices& tuned_choices() const override { return context_.tuned; }
  void set_tuned_choices(const TunedChoices& choices) override { context_.tuned = choices; }

  void fill(const Tensor& target, float value) override {
    float* data = target.data<float>();
    ranges(count_of(target), [&](std::int64_t begin, std::int64_t end) { std::fill(data + begin, data + end, value); });
  }

  void copy(const Tensor& source, const Tensor& target) override {
    copy_bytes(source.raw(), target.raw(), target.bytes());
  }
  void copy_from_host(std::span<const std::byte> source, const Tensor& target) override {
    copy_bytes(source.data(), target.raw(), source.size());
  }
  void copy_to_host(const Tensor& source, std::span<std::byte> target) override {
    copy_bytes(source.raw(), target.data(), target.size());
  }

  void add(const Tensor& source, const Tensor& target) override {
    const float* from = source.data<float>();
    float* to = target.data<float>();
    ranges(count_of(target),
           [&](std::int64_t begin, std::int64_t end) { kernels::add_range(from + begin, to + begin, end - begin); });
  }

  void scale(const Tensor& target, float factor) override {
    float* data = target.data<float>();
    ranges(count_of(target),
           [&](std::int64_t begin, std::int64_t end) { kernels::scale_range(data + begin, factor, end - begin); });
  }

  void normalize_images(const Tensor& images, float divisor, const Tensor& output) override {
    const std::uint8_t* pixels = images.data<std::uint8_t>();
    float* out = output.data<float>();
    ranges(count_of(images), [&](std::int64_t begin, std::int64_t end) {
      kernels::normalize_range(pixels + begin, divisor, out + begin, end - begin);
    });
  }

  void flip_images(const Tensor& images, const Tensor& output) override {
    const std::int64_t width = images.shape()[3];
    const std::uint8_t* from = images.data<std::uint8_t>();
    std::uint8_t* to = output.data<std::uint8_t>();
    parallel_for(threads(), count_of(images) / width, [&](std::int64_t row) {
      std::reverse_copy(from + row * width, from + (row + 1) * width, to + row * width);
    });
  }

  void sum_of_squares(const Tensor& values, const Tensor& result) override {
    const float* data = values.data<float>();
    const std::int64_t pieces = pieces_of(count_of(values));
    const Tensor partial(context_.pool, Shape{pieces}, DType::f64);
    double* partials = partial.data<double>();
    ranges(count_of(values), [&](std::int64_t begin, std::int64_t end) {
      partials[begin / kGrain] = kernels::sum_of_squares_range(data + begin, end - begin);
    });
    result.data<double>()[0] = std::accumulate(partials, partials + pieces, 0.0);
  }

  void clip_scale(const Tensor& sum_of_squares, float limit, const Tensor& state) override {
    StepState& step = step_state(state);
    const double norm = std::sqrt(sum_of_squares.data<double>()[0]) * std::abs(step.gradient_scale);
    if (!std::isfinite(norm)) {
      step.skip = 1;
    } else if (limit > 0) {
      step.gradient_scale *= static_cast<float>(std::min(1.0, limit / (norm + 1e-6)));
    }
  }

  void sgd_update(const Tensor& values, const Tensor& gradients, const Tensor& momentum,
                  std::span<const ParameterSegment> segments, const SgdRule& rule, const Tensor& state) override {
    const StepState& step = step_state(state);
    if (step.skip != 0) return;
    float* w = values.data<float>();
    const float* g = gradients.data<float>();
    float* v = momentum.data<float>();
    for (const ParameterSegment& segment : segments) {
      const kernels::SgdConstants constants{step.learning_rate, rule.momentum, segment.weight_decay,
                                            step.gradient_scale, rule.nesterov};
      const auto first = static_cast<std::int64_t>(segment.begin);
      ranges(static_cast<std::int64_t>(segment.size), [&](std::int64_t begin, std::int64_t end) {
        kernels::sgd_range(constants, g + first + begin, v + first + begin, w + first + begin, end - begin);
      });
    }
  }

 private:
  template <class Body>
  void ranges(std::int64_t size, const Body& body) const {
    parallel_ranges(threads(), size, body);
  }

  void copy_bytes(const void* from, void* to, std::size_t bytes) const {
    const auto* source = static_cast<const std::byte*>(from);
    auto* target = static_cast<std::byte*>(to);
    constexpr std::int64_t kBytes = 4;
    ranges((static_cast<std::int64_t>(bytes) + kBytes - 1) / kBytes, [&](std::int64_t begin, std::int64_t end) {
      const auto first = static_cast<std::size_t>(begin * kBytes);
      std::memcpy(target + first, source + first, std::min(bytes, static_cast<std::size_t>(end * kBytes)) - first);
    });
  }

  CpuContext context_;
  std::string isa_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options) {
  if (options.threads < 1) {
    throw Error(ErrorCode::config, fmt::format("the CPU backend cannot run with {} threads (at least 1 is needed). Set "
                                               "the number of threads, or leave it to the default.",
                                               options.threads));
  }
  return std::make_unique<CpuBackend>(options);
}

}  // namespace plsc::backend
