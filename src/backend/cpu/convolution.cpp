#include "backend/cpu/convolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <limits>

#include "backend/cpu/team.h"
#include "plsc/core/error.h"

namespace plsc::backend {

namespace {

using Direction = ConvolutionDirection;
using Algorithm = ConvolutionAlgorithm;

constexpr int kTimedRuns = 3;

Shape output_of(const ConvolutionSpec& spec, const Shape& input) {
  const auto size = [&](std::int64_t in) {
    return in + 2 * spec.padding < spec.kernel ? 0 : (in + 2 * spec.padding - spec.kernel) / spec.stride + 1;
  };
  const Shape output{input[0], spec.out_channels, size(input[2]), size(input[3])};
  if (output[2] < 1 || output[3] < 1) {
    throw Error(ErrorCode::config,
                fmt::format("a {}x{} convolution with padding {} has no output for input {} (the image is too small "
                            "at this depth). Use larger images or fewer strides.",
                            spec.kernel, spec.kernel, spec.padding, input.text()));
  }
  return output;
}

/// "conv_forward 32x64x56x56 64 k3 s1 p1 t2"
std::string key_of(const ConvolutionProblem& problem, Direction direction, int threads) {
  constexpr std::array kNames{"conv_forward", "conv_backward_data", "conv_backward_weights"};
  const ConvolutionSpec& spec = problem.spec;
  const Shape& in = problem.input;
  return fmt::format("{} {}x{}x{}x{} {} k{} s{} p{} t{}", kNames[static_cast<std::size_t>(direction)], in[0], in[1],
                     in[2], in[3], spec.out_channels, spec.kernel, spec.stride, spec.padding, threads);
}

Algorithm parse_algorithm(const std::string& key, const std::string& name) {
  if (name == "direct") return Algorithm::direct;
  if (name == "winograd") return Algorithm::winograd;
  throw Error(ErrorCode::checkpoint,
              fmt::format("unknown variant '{}' for '{}' among the tuned choices (known: direct, winograd). Remove the "
                          "entry so that it is timed again.",
                          name, key));
}

/// Processor time of the calling thread: as good as a wall clock on a quiet machine, and on a busy one it leaves out
/// what other programs take.
double busy_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Repeatable numbers in [-0.5, 0.5); a pass takes the same time on any of them.
void fill_with_noise(const Tensor& tensor, int threads) {
  float* data = tensor.data<float>();
  parallel_ranges(threads, static_cast<std::int64_t>(tensor.elements()), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      data[i] = static_cast<float>(static_cast<std::uint32_t>(i) * 2654435761U >> 8) / 16777216.0F - 0.5F;
    }
  });
}

class CpuConvolution final : public Convolution {
 public:
  CpuConvolution(CpuContext& context, const ConvolutionSpec& spec, const Shape& input)
      : context_(context), problem_{spec, input, output_of(spec, input), Layout::blocked} {}

  Shape output_shape() const override { return problem_.output; }

  void prepare(Layout input_layout, bool backward) override {
    pass(Direction::forward, input_layout);
    if (!backward) return;
    pass(Direction::backward_weights, input_layout);
    if (input_layout == Layout::blocked) pass(Direction::backward_data, input_layout);
  }

  void forward(const Tensor& input, Weights weights, const Tensor& output) override {
    pass(Direction::forward, input.layout()).run(input, weights, output);
  }
  void backward_data(const Tensor& d_output, Weights weights, const Tensor& d_input) override {
    pass(Direction::backward_data, d_input.layout()).run(d_input, weights, d_output);
  }
  void backward_weights(const Tensor& input, const Tensor& d_output, const Tensor& d_weights,
                        bool accumulate) override {
    pass(Direction::backward_weights, input.layout()).run_weights(input, d_output, d_weights, accumulate);
  }

 private:
  ConvolutionPass& pass(Direction direction, Layout input_layout) {
    auto& slot = passes_[static_cast<std::size_t>(direction)];
    if (!slot || slot->input_layout() != input_layout) {
      problem_.input_layout = input_layout;
      slot = choose(direction);
    }
    return *slot;
  }

  std::unique_ptr<ConvolutionPass> make(Direction direction, Algorithm algorithm) {
    auto made = ConvolutionPass::make(context_, problem_, direction, algorithm);
    if (made || algorithm == Algorithm::winograd) return made;
    throw Error(ErrorCode::internal, fmt::format("oneDNN has no convolution for '{}' on this machine. Report it.",
                                                 key_of(problem_, direction, context_.options.threads)));
  }

  /// Winograd exists for 3x3, stride 1 only, and only where oneDNN has it.
  std::unique_ptr<ConvolutionPass> choose(Direction direction) {
    const bool direct_only = context_.options.convolution == ConvolutionChoice::direct || problem_.spec.kernel != 3 ||
                             problem_.spec.stride != 1;
    auto winograd = direct_only ? nullptr : make(direction, Algorithm::winograd);
    if (!winograd) return make(direction, Algorithm::direct);
    if (context_.options.convolution == ConvolutionChoice::winograd) return winograd;

    const std::string key = key_of(problem_, direction, context_.options.threads);
    if (const auto known = context_.tuned.find(key); known != context_.tuned.end()) {
      if (parse_algorithm(key, known->second) == Algorithm::winograd) return winograd;
      return make(direction, Algorithm::direct);
    }
    auto direct = make(direction, Algorithm::direct);
    const bool winograd_wins = faster(direction, *winograd, *direct);
    context_.tuned[key] = winograd_wins ? "winograd" : "direct";
    return winograd_wins ? std::move(winograd) : std::move(direct);
  }

  /// True when `a` took less time than `b` in the best of some warm runs.
  bool faster(Direction direction, ConvolutionPass& a, ConvolutionPass& b) {
    const ConvolutionSpec& spec = problem_.spec;
    const int block = context_.block;
    const Tensor input(context_.pool, problem_.input, DType::f32, problem_.input_layout, block);
    const Tensor output(context_.pool, problem_.output, DType::f32, Layout::blocked, block);
    const Tensor weights(context_.pool, {spec.out_channels, spec.in_channels, spec.kernel, spec.kernel}, DType::f32);
    for (const Tensor* tensor : {&input, &output, &weights}) fill_with_noise(*tensor, context_.options.threads);

    const auto best_seconds = [&](ConvolutionPass& tried) {
      double best = std::numeric_limits<double>::infinity();
      for (int run = 0; run <= kTimedRuns; ++run) {
        const double start = busy_seconds();
        if (direction == Direction::backward_weights) {
          tried.run_weights(input, output, weights, false);
        } else {
          tried.run(input, {weights, 0}, output);
        }
        if (run > 0) best = std::min(best, busy_seconds() - start);  // run 0 warms up
      }
      return best;
    };
    const bool wins = best_seconds(a) < best_seconds(b);
    a.forget_weights();
    b.forget_weights();
    return wins;
  }

  CpuContext& context_;
  ConvolutionProblem problem_;
  std::array<std::unique_ptr<ConvolutionPass>, 3> passes_;  // by direction
};

}  // namespace

std::unique_ptr<Convolution> make_cpu_convolution(CpuContext& context, const ConvolutionSpec& spec,
                                                  const Shape& input) {
  return std::make_unique<CpuConvolution>(context, spec, input);
}

}  // namespace plsc::backend
