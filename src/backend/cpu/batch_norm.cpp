#include "backend/cpu/batch_norm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backend/cpu/batch_norm_kernels.h"
#include "backend/cpu/team.h"
#include "plsc/core/error.h"

namespace plsc::backend {

namespace {

using kernels::BlockConstants;
using kernels::PlaneShape;

/// Outputs from this size on bypass the caches: a third faster than through them where measured (25 MB and more),
/// slower below 8 MB.
constexpr std::size_t kStreamBytes = std::size_t{16} << 20;

bool streams(const Tensor& output, const Tensor& input) {
  return output.bytes() >= kStreamBytes && output.raw() != input.raw();
}

/// How one call's tensors fall into planes. A plain [N, C] tensor is packed to [ceil(C/16), N, 16] first, so that its
/// samples are the rows of one "sample".
struct Planes {
  std::int64_t samples;
  std::int64_t channels;
  std::int64_t blocks;  // channel blocks
  std::int64_t rows;
  int block;
  bool packed;

  std::int64_t count() const { return samples * blocks; }
  std::int64_t size() const { return rows * block; }
  std::int64_t sample(std::int64_t plane) const { return plane / blocks; }
  std::int64_t channel(std::int64_t plane) const { return plane % blocks * block; }
  std::int64_t valid_rows(std::int64_t plane, std::int64_t valid) const {
    return packed ? std::min(valid, rows) : (sample(plane) < valid ? rows : 0);
  }
  std::int64_t channels_in(std::int64_t plane) const {
    return std::min<std::int64_t>(block, channels - channel(plane));
  }
};

/// A tensor as planes: its own memory, or for plain tensors a packed copy that is written back by unpack().
class PlaneView {
 public:
  PlaneView(MemorySource& memory, const Planes& planes, const Tensor& tensor) : planes_(planes), tensor_(tensor) {
    if (!tensor.defined()) return;
    if (planes.packed) copy_ = Tensor(memory, Shape{planes.count(), planes.rows, planes.block}, DType::f32);
    data_ = planes.packed ? copy_.data<float>() : tensor.data<float>();
  }

  PlaneView& pack() {
    if (!copy_.defined()) return *this;
    const float* source = tensor_.data<float>();
    std::fill_n(data_, planes_.count() * planes_.size(), 0.0F);
    for_each([&](std::int64_t place, std::int64_t element) { data_[place] = source[element]; });
    return *this;
  }
  void unpack() const {
    if (!copy_.defined()) return;
    float* target = tensor_.data<float>();
    for_each([&](std::int64_t place, std::int64_t element) { target[element] = data_[place]; });
  }

  float* plane(std::int64_t index) const { return data_ == nullptr ? nullptr : data_ + index * planes_.size(); }

 private:
  template <class Body>
  void for_each(const Body& body) const {
    for (std::int64_t n = 0; n < planes_.rows; ++n) {
      for (std::int64_t c = 0; c < planes_.channels; ++c) {
        body(((c / planes_.block) * planes_.rows + n) * planes_.block + c % planes_.block, n * planes_.channels + c);
      }
    }
  }

  const Planes& planes_;
  const Tensor& tensor_;
  Tensor copy_;
  float* data_ = nullptr;
};

/// Running combination of (count, mean, M2), Chan, Golub, LeVeque 1979.
struct Moments {
  double count = 0;
  double mean = 0;
  double m2 = 0;

  void add(double other_count, double other_mean, double other_m2) {
    if (other_count == 0) return;
    const double total = count + other_count;
    const double delta = other_mean - mean;
    mean += delta * other_count / total;
    m2 += other_m2 + delta * delta * count * other_count / total;
    count = total;
  }
};

class CpuBatchNorm final : public BatchNorm {
 public:
  CpuBatchNorm(MemorySource& memory, int threads, const BatchNormSpec& spec, const Shape& input)
      : memory_(memory), threads_(threads), spec_(spec), shape_(input) {}

  void local_moments(const Tensor& input, std::int64_t valid, const Tensor& moments) override {
    const Planes planes = planes_of(input);
    PlaneView x(memory_, planes, input);
    x.pack();
    const Tensor partial(memory_, Shape{planes.count(), 2, planes.block}, DType::f64);
    double* partials = partial.data<double>();
    const auto at = [&](std::int64_t plane) { return partials + plane * 2 * planes.block; };
    parallel_for(threads_, planes.count(), [&](std::int64_t plane) {
      const std::int64_t rows = planes.valid_rows(plane, valid);
      if (rows > 0) kernels::moments_plane(x.plane(plane), rows, planes.block, at(plane), at(plane) + planes.block);
    });
    double* out = moments.data<double>();
    for (std::int64_t c = 0; c < planes.channels; ++c) {
      Moments all;
      for (std::int64_t plane = c / planes.block; plane < planes.count(); plane += planes.blocks) {
        const std::int64_t rows = planes.valid_rows(plane, valid);
        if (rows == 0) continue;
        const double* values = at(plane) + c % planes.block;
        all.add(static_cast<double>(rows), values[0], values[planes.block]);
      }
      out[c] = all.count;
      out[planes.channels + c] = all.mean;
      out[2 * planes.channels + c] = all.m2;
    }
  }

  void fold(const Tensor& all_moments, int world_size, const Tensor& gamma, const Tensor& beta,
            const Tensor& running_mean, const Tensor& running_var, float momentum, const Tensor& folded) override {
    const std::int64_t channels = shape_[1];
    const double* moments = all_moments.data<double>();
    for (std::int64_t c = 0; c < channels; ++c) {
      Moments all;
      for (int rank = 0; rank < world_size; ++rank) {
        const double* at = moments + rank * 3 * channels + c;
        all.add(at[0], at[channels], at[2 * channels]);
      }
      float& mean = running_mean.data<float>()[c];
      float& var = running_var.data<float>()[c];
      if (all.count == 0) {
        write_folded(c, gamma, beta, mean, var, folded);
        continue;
      }
      write_folded(c, gamma, beta, all.mean, all.m2 / all.count, folded);
      const double unbiased = all.m2 / std::max(all.count - 1, 1.0);
      mean = static_cast<float>((1.0 - momentum) * mean + momentum * all.mean);
      var = static_cast<float>((1.0 - momentum) * var + momentum * unbiased);
    }
  }

  void fold_running(const Tensor& gamma, const Tensor& beta, const Tensor& running_mean, const Tensor& running_var,
                    const Tensor& folded) override {
    for (std::int64_t c = 0; c < shape_[1]; ++c) {
      write_folded(c, gamma, beta, running_mean.data<float>()[c], running_var.data<float>()[c], folded);
    }
  }

  void apply(const Tensor& input, const Tensor& residual, const Tensor& folded, const Tensor& slope,
             const Tensor& output) override {
    const Planes planes = planes_of(input);
    PlaneView x(memory_, planes, input);
    PlaneView added(memory_, planes, spec_.residual ? residual : none_);
    const PlaneView y(memory_, planes, output);
    x.pack();
    added.pack();
    const bool stream = streams(output, residual);
    parallel_for(threads_, planes.count(), [&](std::int64_t plane) {
      kernels::apply_plane({planes.rows, planes.block, spec_.activation, stream},
                           constants(planes, plane, folded, slope), x.plane(plane), added.plane(plane), y.plane(plane));
    });
    y.unpack();
  }

  void backward_sums(const Tensor& input, const Tensor& residual, const Tensor& d_output, const Tensor& folded,
                     const Tensor& slope, std::int64_t valid, const Tensor& sums) override {
    const Planes planes = planes_of(input);
    PlaneView x(memory_, planes, input);
    PlaneView added(memory_, planes, needs_residual() ? residual : none_);
    PlaneView dy(memory_, planes, d_output);
    x.pack();
    added.pack();
    dy.pack();
    const Tensor partial(memory_, Shape{planes.count(), 3, planes.block}, DType::f64);
    double* partials = partial.data<double>();
    parallel_for(threads_, planes.count(), [&](std::int64_t plane) {
      const PlaneShape shape{planes.valid_rows(plane, valid), planes.block, spec_.activation};
      kernels::backward_sums_plane(shape, constants(planes, plane, folded, slope), x.plane(plane), added.plane(plane),
                                   dy.plane(plane), partials + plane * 3 * planes.block);
    });
    double* out = sums.data<double>();
    for (std::int64_t c = 0; c < planes.channels; ++c) {
      for (int kind = 0; kind < 3; ++kind) {
        double sum = 0;
        for (std::int64_t plane = c / planes.block; plane < planes.count(); plane += planes.blocks) {
          sum += partials[(plane * 3 + kind) * planes.block + c % planes.block];
        }
        out[kind * planes.channels + c] = sum;
      }
    }
  }

  void backward_apply(const Tensor& input, const Tensor& residual, const Tensor& d_output, const Tensor& folded,
                      const Tensor& slope, const Tensor& all_sums, int world_size, double count, std::int64_t valid,
                      const Tensor& d_input, const Tensor& d_residual) override {
    const Planes planes = planes_of(input);
    PlaneView x(memory_, planes, input);
    PlaneView added(memory_, planes, needs_residual() ? residual : none_);
    PlaneView dy(memory_, planes, d_output);
    const PlaneView dx(memory_, planes, d_input);
    const PlaneView d_added(memory_, planes, d_residual);
    x.pack();
    added.pack();
    dy.pack();
    const bool stream = streams(d_input, d_output) && d_residual.raw() != d_output.raw();
    parallel_for(threads_, planes.count(), [&](std::int64_t plane) {
      BlockConstants c = constants(planes, plane, folded, slope);
      if (count > 0) add_means(planes, plane, all_sums, world_size, count, c);
      const std::int64_t rows = planes.valid_rows(plane, valid);
      kernels::backward_plane({rows, planes.block, spec_.activation, stream}, c, x.plane(plane), added.plane(plane),
                              dy.plane(plane), dx.plane(plane), d_added.plane(plane));
      for (const PlaneView* view : {&dx, &d_added}) {
        if (view->plane(plane) == nullptr) continue;
        std::fill(view->plane(plane) + rows * planes.block, view->plane(plane) + planes.size(), 0.0F);
      }
    });
    dx.unpack();
    d_added.unpack();
  }

  void add_parameter_gradients(const Tensor& sums, const Tensor& d_gamma, const Tensor& d_beta,
                               const Tensor& d_slope) override {
    const std::int64_t channels = shape_[1];
    const auto add = [&](int kind, const Tensor& target) {
      if (!target.defined()) return;
      for (std::int64_t c = 0; c < channels; ++c) {
        target.data<float>()[c] += static_cast<float>(sums.data<double>()[kind * channels + c]);
      }
    };
    add(0, d_beta);
    add(1, d_gamma);
    add(2, d_slope);
  }

 private:
  bool needs_residual() const { return spec_.residual && spec_.activation != Activation::none; }

  Planes planes_of(const Tensor& tensor) const {
    const Shape& shape = tensor.shape();
    if (shape.rank() == 4) {
      const int block = tensor.block();
      return {shape[0], shape[1], (shape[1] + block - 1) / block, shape[2] * shape[3], block, false};
    }
    constexpr int kBlock = kernels::kMaxBlock;
    return {1, shape[1], (shape[1] + kBlock - 1) / kBlock, shape[0], kBlock, true};
  }

  void write_folded(std::int64_t c, const Tensor& gamma, const Tensor& beta, double mean, double variance,
                    const Tensor& folded) const {
    const std::int64_t channels = shape_[1];
    const double inverse = 1.0 / std::sqrt(variance + spec_.epsilon);
    const double scale = (gamma.defined() ? gamma.data<float>()[c] : 1.0) * inverse;
    const double shift = (beta.defined() ? beta.data<float>()[c] : 0.0) - mean * scale;
    float* out = folded.data<float>() + c;
    out[0] = static_cast<float>(scale);
    out[channels] = static_cast<float>(shift);
    out[2 * channels] = static_cast<float>(mean);
    out[3 * channels] = static_cast<float>(inverse);
  }

  BlockConstants constants(const Planes& planes, std::int64_t plane, const Tensor& folded, const Tensor& slope) const {
    BlockConstants out;
    const float* from = folded.data<float>() + planes.channel(plane);
    const std::int64_t count = planes.channels_in(plane);
    float* const targets[] = {out.scale, out.shift, out.mean, out.inverse};
    for (int row = 0; row < 4; ++row) std::copy_n(from + row * planes.channels, count, targets[row]);
    if (spec_.activation == Activation::prelu) {
      std::copy_n(slope.data<float>() + planes.channel(plane), count, out.slope);
    }
    return out;
  }

  static void add_means(const Planes& planes, std::int64_t plane, const Tensor& all_sums, int world_size, double count,
                        BlockConstants& out) {
    for (std::int64_t i = 0; i < planes.channels_in(plane); ++i) {
      double dz = 0;
      double dz_xhat = 0;
      for (int rank = 0; rank < world_size; ++rank) {
        const double* at = all_sums.data<double>() + rank * 3 * planes.channels + planes.channel(plane) + i;
        dz += at[0];
        dz_xhat += at[planes.channels];
      }
      out.mean_dz[i] = static_cast<float>(dz / count);
      out.mean_dz_xhat[i] = static_cast<float>(dz_xhat / count);
    }
  }

  MemorySource& memory_;
  int threads_;
  BatchNormSpec spec_;
  Shape shape_;
  Tensor none_;
};

}  // namespace

std::unique_ptr<BatchNorm> make_cpu_batch_norm(MemorySource& memory, int threads, const BatchNormSpec& spec,
                                               const Shape& input) {
  if (input.rank() != 4 && input.rank() != 2) {
    throw Error(
        ErrorCode::internal,
        fmt::format("BatchNorm of a tensor {} ([N, C, H, W] blocked or [N, C] plain are supported). Reshape it.",
                    input.text()));
  }
  return std::make_unique<CpuBatchNorm>(memory, threads, spec, input);
}

}  // namespace plsc::backend
