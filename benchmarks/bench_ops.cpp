// Planned operations on the layer shapes of iresnet50@112: convolutions in GFLOP/s by direction and variant (effective:
// products of the direct method, whatever was computed), BatchNorm passes in GB/s beside a plain copy.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <functional>
#include <limits>
#include <vector>

#include "plsc/backend/cpu.h"
#include "plsc/core/random.h"

namespace {

using plsc::Layout;
using plsc::Shape;
using plsc::Tensor;
using plsc::backend::Activation;
using plsc::backend::Backend;
using plsc::backend::ConvolutionChoice;
using plsc::backend::ConvolutionSpec;

struct Setup {
  std::int64_t batch = 32;
  int threads = 2;
  int runs = 3;
  bool busy_machine = false;
};

struct Layer {
  ConvolutionSpec spec;
  std::int64_t size;  // height and width of the input
  int count;          // how often iresnet50 has it
};

constexpr Layer kLayers[] = {
    {{3, 64, 3, 1, 1}, 112, 1},    {{64, 64, 3, 1, 1}, 112, 1},  {{64, 64, 3, 2, 1}, 112, 1},
    {{64, 64, 1, 2, 0}, 112, 1},   {{64, 64, 3, 1, 1}, 56, 4},   {{64, 128, 3, 1, 1}, 56, 1},
    {{128, 128, 3, 2, 1}, 56, 1},  {{64, 128, 1, 2, 0}, 56, 1},  {{128, 128, 3, 1, 1}, 28, 6},
    {{128, 256, 3, 1, 1}, 28, 1},  {{256, 256, 3, 2, 1}, 28, 1}, {{128, 256, 1, 2, 0}, 28, 1},
    {{256, 256, 3, 1, 1}, 14, 26}, {{256, 512, 3, 1, 1}, 14, 1}, {{512, 512, 3, 2, 1}, 14, 1},
    {{256, 512, 1, 2, 0}, 14, 1},  {{512, 512, 3, 1, 1}, 7, 4},
};

double seconds_now(const Setup& setup) {
  timespec now{};
  clock_gettime(setup.busy_machine ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double best_seconds(const Setup& setup, int runs, const std::function<void()>& body) {
  double best = std::numeric_limits<double>::infinity();
  for (int run = 0; run <= runs; ++run) {
    const double start = seconds_now(setup);
    body();
    if (run > 0) best = std::min(best, seconds_now(setup) - start);  // run 0 warms up
  }
  return best;
}

Tensor random_activation(Backend& backend, const Shape& shape, Layout layout) {
  Tensor tensor = backend.activation(shape, layout);
  std::uint64_t state = 1;
  for (float& value : tensor.host_span<float>()) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    value = static_cast<float>(state >> 40) / static_cast<float>(1 << 24) - 0.5F;
  }
  return tensor;
}

struct Seconds {
  double forward, data, weights;
};

Seconds time_convolution(const Layer& layer, const Setup& setup, ConvolutionChoice choice) {
  const auto backend = plsc::backend::make_cpu_backend({setup.threads, choice});
  const ConvolutionSpec& spec = layer.spec;
  const Shape shape{setup.batch, spec.in_channels, layer.size, layer.size};
  const Layout layout = spec.in_channels < backend->channel_block() ? Layout::plain : Layout::blocked;
  const auto convolution = backend->make_convolution(spec, shape);
  const Tensor input = random_activation(*backend, shape, layout);
  const Tensor output = random_activation(*backend, convolution->output_shape(), Layout::blocked);
  const Tensor weights =
      random_activation(*backend, {spec.out_channels, spec.in_channels, spec.kernel, spec.kernel}, Layout::plain);
  const Tensor d_weights = backend->tensor(weights.shape());
  return {best_seconds(setup, setup.runs,
                       [&] {
                         convolution->forward(input, {weights, 0}, output);
                       }),
          layout == Layout::plain ? 0
                                  : best_seconds(setup, setup.runs,
                                                 [&] {
                                                   convolution->backward_data(output, {weights, 0}, input);
                                                 }),
          best_seconds(setup, setup.runs, [&] { convolution->backward_weights(input, output, d_weights, false); })};
}

void bench_convolutions(const Setup& setup) {
  fmt::print("\nconvolution, batch {}, GFLOP/s     direct                    Winograd\n", setup.batch);
  fmt::print("{:<26} {:>2}x  {:>7} {:>7} {:>7}   {:>7} {:>7} {:>7}\n", "layer", "", "forward", "data", "weights",
             "forward", "data", "weights");
  Seconds best_step{0, 0, 0};
  for (const Layer& layer : kLayers) {
    const ConvolutionSpec& s = layer.spec;
    const auto out = static_cast<double>((layer.size + 2 * s.padding - s.kernel) / s.stride + 1);
    const double flop =
        2.0 * static_cast<double>(setup.batch * s.in_channels * s.out_channels * s.kernel * s.kernel) * out * out;
    const auto rate = [&](double seconds) {
      return seconds > 0 ? fmt::format("{:7.0f}", flop / seconds / 1e9) : std::string("      -");
    };
    const bool has_winograd = s.kernel == 3 && s.stride == 1;
    const Seconds direct = time_convolution(layer, setup, ConvolutionChoice::direct);
    const Seconds winograd = has_winograd ? time_convolution(layer, setup, ConvolutionChoice::winograd) : direct;
    const auto name = fmt::format("{}->{} {} k{} s{}", s.in_channels, s.out_channels, layer.size, s.kernel, s.stride);
    fmt::print("{:<26} {:>2}x  {} {} {}", name, layer.count, rate(direct.forward), rate(direct.data),
               rate(direct.weights));
    if (has_winograd) {
      fmt::print("   {} {} {}", rate(winograd.forward), rate(winograd.data), rate(winograd.weights));
    }
    fmt::print("\n");
    best_step.forward += layer.count * std::min(direct.forward, winograd.forward);
    best_step.data += layer.count * std::min(direct.data, winograd.data);
    best_step.weights += layer.count * std::min(direct.weights, winograd.weights);
  }
  fmt::print("all convolutions of iresnet50, faster variants: forward {:.3f} s, data {:.3f} s, weights {:.3f} s\n",
             best_step.forward, best_step.data, best_step.weights);
}

/// Rates count the bytes that a pass must read and write, not cache lines fetched to be overwritten.
void bench_batch_norm(const Setup& setup) {
  const auto backend = plsc::backend::make_cpu_backend({setup.threads, {}});
  fmt::print("\nBatchNorm, GB/s\n{:<18} {:>7} {:>7} {:>7} {:>11} {:>9} {:>10} {:>11}\n", "tensor", "copy", "moments",
             "apply", "apply+prelu", "apply+add", "bwd sums", "bwd apply");
  for (const auto& [channels, size] : {std::pair{64, 112}, {64, 56}, {128, 28}, {256, 14}, {512, 7}}) {
    const Shape shape{setup.batch, channels, size, size};
    const Tensor x = random_activation(*backend, shape, Layout::blocked);
    const Tensor y = random_activation(*backend, shape, Layout::blocked);
    const Tensor z = random_activation(*backend, shape, Layout::blocked);
    const Tensor moments = backend->tensor({3, channels}, plsc::DType::f64);
    const Tensor folded = backend->tensor({4, channels});
    const Tensor ones = backend->tensor({channels});
    backend->fill(ones, 1);
    const auto plain = backend->make_batch_norm({}, shape);
    const auto prelu = backend->make_batch_norm({Activation::prelu, false, 1e-5F}, shape);
    const auto added = backend->make_batch_norm({Activation::none, true, 1e-5F}, shape);
    const auto gigabytes = static_cast<double>(x.bytes()) / 1e9;
    const auto rate = [&](int tensors, const std::function<void()>& body) {
      return tensors * gigabytes / best_seconds(setup, 2 * setup.runs, body);
    };
    const auto fold = [&] { plain->fold_running(ones, ones, ones, ones, folded); };
    fold();
    fmt::print("{:<18} {:7.1f} {:7.1f} {:7.1f} {:11.1f} {:9.1f} {:10.1f} {:11.1f}\n", shape.text(),
               rate(2, [&] { backend->copy(x, y); }), rate(1, [&] { plain->local_moments(x, setup.batch, moments); }),
               rate(2, [&] { plain->apply(x, {}, folded, {}, y); }),
               rate(2, [&] { prelu->apply(x, {}, folded, ones, y); }),
               rate(3, [&] { added->apply(x, y, folded, {}, z); }),
               rate(2, [&] { prelu->backward_sums(x, {}, y, folded, ones, setup.batch, moments); }),
               rate(3, [&] { prelu->backward_apply(x, {}, y, folded, ones, moments, 1, 1e6, setup.batch, y, {}); }));
  }
}

}  // namespace

int main(int argc, char** argv) {
  Setup setup;
  bool convolutions = true;
  CLI::App app("Times convolutions and BatchNorm on the layer shapes of iresnet50@112.");
  app.add_option("--batch", setup.batch, "samples");
  app.add_option("--threads", setup.threads, "threads");
  app.add_option("--runs", setup.runs, "timed runs, of which the best counts");
  app.add_flag("--busy-machine", setup.busy_machine,
               "count processor time of the calling thread instead of wall time (with one thread)");
  app.add_option("--convolutions", convolutions, "false: BatchNorm only");
  CLI11_PARSE(app, argc, argv);
  fmt::print("{}\n", plsc::backend::make_cpu_backend({setup.threads, {}})->description());
  bench_batch_norm(setup);
  if (convolutions) bench_convolutions(setup);
  return 0;
}
