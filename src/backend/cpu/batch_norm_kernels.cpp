#include "backend/cpu/batch_norm_kernels.h"

#include <algorithm>
#include <type_traits>

#include "backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/batch_norm_kernels.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include <hwy/cache_control.h>

HWY_BEFORE_NAMESPACE();
namespace plsc::backend::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Rows whose sums are kept in float before they go to double: few enough for accuracy, and 16 KiB, so that the second
/// look of moments() finds them in the first-level cache.
constexpr std::int64_t kChunk = 256;

/// The vectors that hold one row of `kBlock` channels.
template <int kBlock>
struct Row {
  using Tag = hn::CappedTag<float, kBlock>;
  using Vector = hn::Vec<Tag>;
  static constexpr int kLanes = static_cast<int>(hn::MaxLanes(Tag()));
  static constexpr int kVectors = kBlock / kLanes;
};

template <int kBlock>
struct RowOf {
  typename Row<kBlock>::Vector v[Row<kBlock>::kVectors];
};

template <int kBlock>
HWY_INLINE RowOf<kBlock> load(const float* from) {
  RowOf<kBlock> row;
  for (int k = 0; k < Row<kBlock>::kVectors; ++k) {
    row.v[k] = hn::LoadU(typename Row<kBlock>::Tag(), from + k * Row<kBlock>::kLanes);
  }
  return row;
}

template <int kBlock>
HWY_INLINE RowOf<kBlock> zeros() {
  RowOf<kBlock> row;
  for (auto& v : row.v) v = hn::Zero(typename Row<kBlock>::Tag());
  return row;
}

template <int kBlock>
HWY_INLINE void store(const RowOf<kBlock>& row, float* to) {
  for (int k = 0; k < Row<kBlock>::kVectors; ++k) {
    hn::StoreU(row.v[k], typename Row<kBlock>::Tag(), to + k * Row<kBlock>::kLanes);
  }
}

template <int kBlock>
HWY_INLINE void add_to(const RowOf<kBlock>& row, double* sums) {
  alignas(64) float values[kBlock];
  store<kBlock>(row, values);
  for (int c = 0; c < kBlock; ++c) sums[c] += values[c];
}

// ---- statistics ----

/// Mean and squared deviations of a chunk (two looks), then Chan's combination with what came before.
template <int kBlock>
void moments_of(const float* x, std::int64_t rows, double* mean, double* m2) {
  constexpr int kStreams = 4;  // independent sums, which hide the latency of an addition
  std::fill_n(mean, kBlock, 0.0);
  std::fill_n(m2, kBlock, 0.0);
  for (std::int64_t begin = 0; begin < rows; begin += kChunk) {
    const std::int64_t count = std::min(kChunk, rows - begin);
    const float* at = x + begin * kBlock;
    RowOf<kBlock> sum[kStreams] = {zeros<kBlock>(), zeros<kBlock>(), zeros<kBlock>(), zeros<kBlock>()};
    const auto each_row = [&](const auto& body) HWY_ATTR {
      std::int64_t r = 0;
      for (; r + kStreams <= count; r += kStreams) {
        for (int s = 0; s < kStreams; ++s) body(load<kBlock>(at + (r + s) * kBlock), s);
      }
      for (; r < count; ++r) body(load<kBlock>(at + r * kBlock), 0);
    };
    each_row([&](const RowOf<kBlock>& row, int s) HWY_ATTR {
      for (int k = 0; k < Row<kBlock>::kVectors; ++k) sum[s].v[k] = hn::Add(sum[s].v[k], row.v[k]);
    });
    double chunk_sum[kBlock] = {};
    for (const auto& s : sum) add_to<kBlock>(s, chunk_sum);
    alignas(64) float centre[kBlock];
    for (int c = 0; c < kBlock; ++c) centre[c] = static_cast<float>(chunk_sum[c] / static_cast<double>(count));

    const auto centres = load<kBlock>(centre);
    RowOf<kBlock> squares[kStreams] = {zeros<kBlock>(), zeros<kBlock>(), zeros<kBlock>(), zeros<kBlock>()};
    RowOf<kBlock> rest = zeros<kBlock>();  // sum of deviations from the rounded centre
    each_row([&](const RowOf<kBlock>& row, int s) HWY_ATTR {
      for (int k = 0; k < Row<kBlock>::kVectors; ++k) {
        const auto deviation = hn::Sub(row.v[k], centres.v[k]);
        rest.v[k] = hn::Add(rest.v[k], deviation);
        squares[s].v[k] = hn::MulAdd(deviation, deviation, squares[s].v[k]);
      }
    });
    double rests[kBlock] = {};
    double chunk_m2[kBlock] = {};
    add_to<kBlock>(rest, rests);
    for (const auto& s : squares) add_to<kBlock>(s, chunk_m2);

    const auto before = static_cast<double>(begin);
    const auto now = static_cast<double>(count);
    for (int c = 0; c < kBlock; ++c) {
      const double chunk_mean = centre[c] + rests[c] / now;
      const double delta = chunk_mean - mean[c];
      mean[c] += delta * now / (before + now);
      m2[c] += chunk_m2[c] - rests[c] * rests[c] / now + delta * delta * before * now / (before + now);
    }
  }
}

// ---- element-wise passes ----

/// Stores results; past the caches where that saves reading lines that are only overwritten.
class Writer {
 public:
  explicit Writer(bool stream) : stream_(stream) {}
  ~Writer() {
    if (stream_) hwy::FlushStream();
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  template <class Tag>
  HWY_INLINE void operator()(hn::Vec<Tag> values, Tag d, float* to) const {
    if (stream_) {
      hn::Stream(values, d, to);
    } else {
      hn::StoreU(values, d, to);
    }
  }

 private:
  bool stream_;
};

template <int kBlock, Activation kActivation>
struct Constants {
  explicit HWY_INLINE Constants(const BlockConstants& c)
      : scale(load<kBlock>(c.scale)), shift(load<kBlock>(c.shift)), slope(load<kBlock>(c.slope)) {}
  RowOf<kBlock> scale, shift, slope;
};

/// z of one vector.
template <int kBlock, Activation kActivation, bool kResidual>
HWY_INLINE auto pre_activation(const Constants<kBlock, kActivation>& c, int k, const float* x, const float* residual) {
  const typename Row<kBlock>::Tag d;
  auto z = hn::MulAdd(c.scale.v[k], hn::LoadU(d, x), c.shift.v[k]);
  if constexpr (kResidual) z = hn::Add(z, hn::LoadU(d, residual));
  return z;
}

template <int kBlock, Activation kActivation, bool kResidual>
void apply(const PlaneShape& shape, const BlockConstants& constants, const float* x, const float* residual, float* y) {
  const Writer write(shape.stream);
  using R = Row<kBlock>;
  const typename R::Tag d;
  const auto zero = hn::Zero(d);
  const Constants<kBlock, kActivation> c(constants);
  for (std::int64_t r = 0; r < shape.rows; ++r) {
    for (int k = 0; k < R::kVectors; ++k) {
      const std::int64_t at = r * kBlock + k * R::kLanes;
      auto z = pre_activation<kBlock, kActivation, kResidual>(c, k, x + at, residual + (kResidual ? at : 0));
      if constexpr (kActivation == Activation::relu) z = hn::IfThenZeroElse(hn::Lt(z, zero), z);  // keeps NaN visible
      if constexpr (kActivation == Activation::prelu) {
        z = hn::IfThenElse(hn::Gt(z, zero), z, hn::Mul(z, c.slope.v[k]));
      }
      write(z, d, y + at);
    }
  }
}

/// dz of one vector, and through `negative` the dy * z of PReLU's slope.
template <int kBlock, Activation kActivation, bool kResidual, class Vector>
HWY_INLINE Vector gradient(const Constants<kBlock, kActivation>& c, int k, const float* x, const float* residual,
                           Vector dy, Vector& negative) {
  if constexpr (kActivation == Activation::none) {
    return dy;
  } else {
    const auto z = pre_activation<kBlock, kActivation, kResidual>(c, k, x, residual);
    const auto positive = hn::Gt(z, hn::Zero(typename Row<kBlock>::Tag()));
    if constexpr (kActivation == Activation::relu) return hn::IfThenElseZero(positive, dy);
    negative = hn::IfThenZeroElse(positive, hn::Mul(dy, z));
    return hn::IfThenElse(positive, dy, hn::Mul(dy, c.slope.v[k]));
  }
}

template <int kBlock, Activation kActivation, bool kResidual>
void backward_sums(std::int64_t rows, const BlockConstants& constants, const float* x, const float* residual,
                   const float* dy, double* sums) {
  using R = Row<kBlock>;
  const typename R::Tag d;
  const Constants<kBlock, kActivation> c(constants);
  const auto mean = load<kBlock>(constants.mean);
  const auto inverse = load<kBlock>(constants.inverse);
  std::fill_n(sums, 3 * kBlock, 0.0);
  for (std::int64_t begin = 0; begin < rows; begin += kChunk) {
    auto sum_dz = zeros<kBlock>();
    auto sum_dz_xhat = zeros<kBlock>();
    auto sum_slope = zeros<kBlock>();
    for (std::int64_t r = begin; r < std::min(rows, begin + kChunk); ++r) {
      for (int k = 0; k < R::kVectors; ++k) {
        const std::int64_t at = r * kBlock + k * R::kLanes;
        auto negative = hn::Zero(d);
        const auto dz = gradient<kBlock, kActivation, kResidual>(c, k, x + at, residual + (kResidual ? at : 0),
                                                                 hn::LoadU(d, dy + at), negative);
        const auto xhat = hn::Mul(hn::Sub(hn::LoadU(d, x + at), mean.v[k]), inverse.v[k]);
        sum_dz.v[k] = hn::Add(sum_dz.v[k], dz);
        sum_dz_xhat.v[k] = hn::MulAdd(dz, xhat, sum_dz_xhat.v[k]);
        if constexpr (kActivation == Activation::prelu) sum_slope.v[k] = hn::Add(sum_slope.v[k], negative);
      }
    }
    add_to<kBlock>(sum_dz, sums);
    add_to<kBlock>(sum_dz_xhat, sums + kBlock);
    if constexpr (kActivation == Activation::prelu) add_to<kBlock>(sum_slope, sums + 2 * kBlock);
  }
}

template <int kBlock, Activation kActivation, bool kResidual>
void backward(const PlaneShape& shape, const BlockConstants& constants, const float* x, const float* residual,
              const float* dy, float* dx, float* d_residual) {
  const Writer write(shape.stream);
  using R = Row<kBlock>;
  const typename R::Tag d;
  const Constants<kBlock, kActivation> c(constants);
  // dx = scale * dz + offset + factor * (x - mean)
  alignas(64) float offset[kBlock];
  alignas(64) float factor[kBlock];
  for (int i = 0; i < kBlock; ++i) {
    offset[i] = -constants.scale[i] * constants.mean_dz[i];
    factor[i] = -constants.scale[i] * constants.inverse[i] * constants.mean_dz_xhat[i];
  }
  const auto offsets = load<kBlock>(offset);
  const auto factors = load<kBlock>(factor);
  const auto mean = load<kBlock>(constants.mean);
  for (std::int64_t r = 0; r < shape.rows; ++r) {
    for (int k = 0; k < R::kVectors; ++k) {
      const std::int64_t at = r * kBlock + k * R::kLanes;
      auto negative = hn::Zero(d);
      const auto dz = gradient<kBlock, kActivation, kResidual>(c, k, x + at, residual + (kResidual ? at : 0),
                                                               hn::LoadU(d, dy + at), negative);
      const auto centred = hn::Sub(hn::LoadU(d, x + at), mean.v[k]);
      if (d_residual != nullptr) write(dz, d, d_residual + at);
      write(hn::MulAdd(c.scale.v[k], dz, hn::MulAdd(factors.v[k], centred, offsets.v[k])), d, dx + at);
    }
  }
}

// ---- from run-time to compile-time choices ----

template <int kBlock, Activation kActivation, class Body>
HWY_INLINE void with_residual(bool residual, const Body& body) {
  using Block = std::integral_constant<int, kBlock>;
  using Act = std::integral_constant<Activation, kActivation>;
  if (residual) {
    body(Block(), Act(), std::true_type());
  } else {
    body(Block(), Act(), std::false_type());
  }
}

template <int kBlock, class Body>
HWY_INLINE void with_activation(Activation activation, bool residual, const Body& body) {
  switch (activation) {
    case Activation::none: return with_residual<kBlock, Activation::none>(residual, body);
    case Activation::relu: return with_residual<kBlock, Activation::relu>(residual, body);
    case Activation::prelu: return with_residual<kBlock, Activation::prelu>(residual, body);
  }
}

template <class Body>
HWY_INLINE void with_constants(const PlaneShape& shape, bool residual, const Body& body) {
  if (shape.block == 16) return with_activation<16>(shape.activation, residual, body);
  with_activation<8>(shape.activation, residual, body);
}

void run_moments(const float* x, std::int64_t rows, int block, double* mean, double* m2) {
  if (block == 16) return moments_of<16>(x, rows, mean, m2);
  moments_of<8>(x, rows, mean, m2);
}

void run_apply(const PlaneShape& shape, const BlockConstants& constants, const float* x, const float* residual,
               float* y) {
  with_constants(shape, residual != nullptr, [&](auto block, auto activation, auto with) HWY_ATTR {
    apply<block(), activation(), with()>(shape, constants, x, residual, y);
  });
}

void run_backward_sums(const PlaneShape& shape, const BlockConstants& constants, const float* x, const float* residual,
                       const float* dy, double* sums) {
  with_constants(shape, residual != nullptr, [&](auto block, auto activation, auto with) HWY_ATTR {
    backward_sums<block(), activation(), with()>(shape.rows, constants, x, residual, dy, sums);
  });
}

void run_backward(const PlaneShape& shape, const BlockConstants& constants, const float* x, const float* residual,
                  const float* dy, float* dx, float* d_residual) {
  with_constants(shape, residual != nullptr, [&](auto block, auto activation, auto with) HWY_ATTR {
    backward<block(), activation(), with()>(shape, constants, x, residual, dy, dx, d_residual);
  });
}

}  // namespace plsc::backend::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace plsc::backend::kernels {

HWY_EXPORT(run_moments);
HWY_EXPORT(run_apply);
HWY_EXPORT(run_backward_sums);
HWY_EXPORT(run_backward);

void moments_plane(const float* x, std::int64_t rows, int block, double* mean, double* m2) {
  HWY_DYNAMIC_DISPATCH(run_moments)(x, rows, block, mean, m2);
}
void apply_plane(const PlaneShape& shape, const BlockConstants& constants, const float* x, const float* residual,
                 float* y) {
  HWY_DYNAMIC_DISPATCH(run_apply)(shape, constants, x, residual, y);
}
void backward_sums_plane(const PlaneShape& shape, const BlockConstants& constants, const float* x,
                         const float* residual, const float* dy, double* sums) {
  HWY_DYNAMIC_DISPATCH(run_backward_sums)(shape, constants, x, residual, dy, sums);
}
void backward_plane(const PlaneShape& shape, const BlockConstants& constants, const float* x, const float* residual,
                    const float* dy, float* dx, float* d_residual) {
  HWY_DYNAMIC_DISPATCH(run_backward)(shape, constants, x, residual, dy, dx, d_residual);
}

}  // namespace plsc::backend::kernels

#endif  // HWY_ONCE
