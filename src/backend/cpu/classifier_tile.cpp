#include <dnnl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

#include "backend/cpu/classifier_tile.h"
#include "backend/cpu/cpu_classifier_tile.h"

namespace plsc::backend {

namespace {

using cpu::part_range;
using cpu::Range;
using cpu::run_team;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kSmallestNorm = 1e-12F;  // below it a vector counts as zero; torch.nn.functional.normalize has the same

/// Measured with 64 to 1,024 samples x 512: products lose 10 to 25% when their rows fit the second-level cache, gain
/// nothing past some thousand rows. The same on every machine, so that equal thread counts give equal bits.
std::int64_t rows_per_thread(const ClassifierTileSpec& spec) {
  constexpr std::int64_t kLeast = 128;
  constexpr std::int64_t kMost = 2048;
  constexpr std::int64_t kScratchBytes = 16 << 20;
  const std::int64_t bytes_per_row = std::max<std::int64_t>(1, 4 * (spec.embedding + spec.samples));
  return std::clamp(kScratchBytes / bytes_per_row / 16 * 16, kLeast, kMost);
}

}  // namespace

CpuClassifierTile::CpuClassifierTile(const ClassifierTileSpec& spec, int threads, MemorySource& memory)
    : margin_(spec.margin),
      normalized_(is_normalized(spec.margin.kind)),
      scale_(normalized_ ? spec.scale : 1.0F),
      threads_(threads),
      n_(spec.samples),
      d_(spec.embedding),
      tile_(spec.tile > 0 ? spec.tile : rows_per_thread(spec) * threads),
      memory_(memory) {
  if (n_ <= 0 || n_ % kSampleMultiple != 0 || d_ <= 0 || threads_ <= 0) {
    throw Error(ErrorCode::internal,
                fmt::format("classifier tile of {} samples, embedding {}, {} threads (all must be positive, samples a "
                            "multiple of {}).",
                            n_, d_, threads_, kSampleMultiple));
  }
  const auto make = [&](Shape shape, DType type = DType::f32) { return Tensor(memory, shape, type); };
  logits_ = make({tile_, n_});
  d_weight_ = make({tile_, d_});
  inverse_norm_ = make({tile_});
  factor_ = make({tile_});
  row_sum_ = make({tile_});
  d_bias_ = make({tile_});
  running_max_ = make({threads_, n_});
  running_sum_ = make({threads_, n_}, DType::f64);
  shift_ = make({threads_, n_});
  tile_sum_ = make({threads_, n_});
  target_ = make({2, n_});
  d_features_ = make({threads_, n_ * d_});
}

std::size_t CpuClassifierTile::scratch_bytes() const {
  std::size_t total = 0;
  for (const Tensor* tensor : {&logits_, &d_weight_, &inverse_norm_, &factor_, &row_sum_, &d_bias_, &running_max_,
                               &running_sum_, &shift_, &tile_sum_, &target_, &d_features_}) {
    total += tensor->bytes();
  }
  return total;
}

ClassifierBatch CpuClassifierTile::make_batch() {
  return {Tensor(memory_, {n_, d_}, DType::f32), Tensor(memory_, {d_, n_}, DType::f32),
          Tensor(memory_, {n_}, DType::f32),     Tensor(memory_, {n_}, DType::i64),
          Tensor(memory_, {n_}, DType::f32),     Tensor(memory_, {3, n_}, DType::f32)};
}

void CpuClassifierTile::product(Transpose transpose, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                                const float* b, float beta, float* c) {
  const bool turned = transpose == Transpose::yes;
  if (dnnl_sgemm(turned ? 'T' : 'N', 'N', m, n, k, 1.0F, a, turned ? m : k, b, n, beta, c, n) != dnnl_success) {
    product_failed_ = true;
  }
}

void CpuClassifierTile::load_features(const Tensor& embeddings, const ClassifierBatch& batch) {
  const std::int64_t* targets = batch.targets.data<std::int64_t>();
  float* inverse_norm = batch.inverse_norm.data<float>();
  float* transposed = batch.features_t.data<float>();
  run_team(threads_, [&](int part_index) {
    const Range part = part_range(n_, part_index, threads_, kSampleMultiple);
    for (std::int64_t i = part.begin; i < part.end; ++i) {
      const float* x = row_of(embeddings, i);
      float* feature = row_of(batch.features, i);
      const bool counts = targets[i] != kPadding;
      const float norm = counts ? std::sqrt(cpu::dot_product(x, x, d_)) : 0.0F;
      float inverse = normalized_ ? (norm < kSmallestNorm ? 0.0F : 1.0F / norm) : 1.0F;
      if (!std::isfinite(norm)) inverse = kNaN;  // finish_forward reports it; the features stay clean
      inverse_norm[i] = inverse;
      if (counts && std::isfinite(inverse)) {
        cpu::scale_to(x, inverse, feature, d_);
      } else {
        std::fill_n(feature, d_, 0.0F);
      }
    }
    for (std::int64_t column = 0; column < d_; ++column) {
      for (std::int64_t i = part.begin; i < part.end; ++i) {
        transposed[column * n_ + i] = row_of(batch.features, i)[column];
      }
    }
  });
}

void CpuClassifierTile::begin_forward() {
  bad_row_ = false;
  std::fill_n(running_max_.data<float>(), threads_ * n_, -kInfinity);
  std::fill_n(running_sum_.data<double>(), threads_ * n_, 0.0);
  std::fill_n(target_.data<float>(), 2 * n_, -kInfinity);
}

void CpuClassifierTile::row_factors(const ClassRows& rows, Range part) {
  for (std::int64_t row = part.begin; row < part.end; ++row) {
    const float* w = row_of(rows.weight, row);
    const float norm = std::sqrt(cpu::dot_product(w, w, d_));
    const bool good_bias = !rows.bias.defined() || std::isfinite(rows.bias.data<float>()[row]);
    if (!std::isfinite(norm) || !good_bias) bad_row_ = true;
    const float inverse = normalized_ ? (norm < kSmallestNorm ? 0.0F : 1.0F / norm) : 1.0F;
    inverse_norm_.data<float>()[row] = inverse;
    factor_.data<float>()[row] = std::max(scale_ * inverse, FLT_MIN);  // not 0: -infinity must survive the factor
  }
}

void CpuClassifierTile::raw_logits(const ClassifierBatch& batch, const ClassRows& rows, Range part, float* z) {
  product(Transpose::no, part.size(), n_, d_, row_of(rows.weight, part.begin), batch.features_t.data<float>(), 0.0F, z);
}

/// Takes the targets' logits out of raw products z [part, N]; -infinity keeps them out of maximum and sum.
void CpuClassifierTile::forward_targets(const ClassifierBatch& batch, const ClassRows& rows, Range part, float* z) {
  float* with_margin = target_.data<float>();
  float* without = with_margin + n_;
  for_targets(batch, rows, part, [&](std::int64_t i, std::int64_t row) {
    float& raw = z[(row - part.begin) * n_ + i];
    const float bias = rows.bias.defined() ? rows.bias.data<float>()[row] : 0.0F;
    const float cosine = raw * inverse_norm_.data<float>()[row];
    const MarginValue margin = apply_margin(margin_, cosine);
    with_margin[i] = scale_ * margin.value + bias;
    without[i] = scale_ * cosine + bias;
    batch.target_slope.data<float>()[i] = margin.slope;
    raw = -kInfinity;
  });
}

/// Scales z and adds it to this thread's running maximum and sum.
void CpuClassifierTile::accumulate_softmax(int part_index, cpu::LogitBlock z, const float* factor, const float* bias) {
  float* max = row_of(running_max_, part_index);
  double* sum = running_sum_.data<double>() + part_index * n_;
  float* shift = row_of(shift_, part_index);
  float* tile_sum = row_of(tile_sum_, part_index);
  std::copy_n(max, n_, shift);
  cpu::scale_and_max(z, factor, bias, max);
  for (std::int64_t i = 0; i < n_; ++i) {
    const float next = std::max(max[i], -FLT_MAX);  // finite, also while only -infinity was seen
    if (shift[i] != next) sum[i] *= std::exp(static_cast<double>(shift[i]) - static_cast<double>(next));
    shift[i] = next;
    tile_sum[i] = 0.0F;
  }
  cpu::add_exp_sums(z, shift, tile_sum);
  for (std::int64_t i = 0; i < n_; ++i) sum[i] += static_cast<double>(tile_sum[i]);
}

void CpuClassifierTile::forward(const ClassifierBatch& batch, const ClassRows& rows, const Tensor& kept) {
  for_row_parts(rows, [&](int part_index, Range part) {
    float* z = row_of(kept.defined() ? kept : logits_, part.begin);
    row_factors(rows, part);
    raw_logits(batch, rows, part, z);
    forward_targets(batch, rows, part, z);
    accumulate_softmax(part_index, {z, part.size(), n_}, factor_.data<float>() + part.begin, bias_of(rows, part));
  });
}

void CpuClassifierTile::finish_forward(const ClassifierBatch& batch, const Tensor& statistics) {
  for (std::int64_t i = 0; i < n_; ++i) {
    float max = -kInfinity;
    for (int part = 0; part < threads_; ++part) max = std::max(max, row_of(running_max_, part)[i]);
    double sum = 0;
    for (int part = 0; part < threads_; ++part) {
      const float part_max = row_of(running_max_, part)[i];
      if (part_max == -kInfinity) continue;
      sum += running_sum_.data<double>()[part * n_ + i] * std::exp(static_cast<double>(part_max - max));
    }
    if (bad_row_ || std::isnan(batch.inverse_norm.data<float>()[i])) sum = kNaN;
    row_of(statistics, other_max)[i] = max;
    row_of(statistics, other_sum)[i] = static_cast<float>(sum);
    row_of(statistics, target_logit)[i] = row_of(target_, 0)[i];
    row_of(statistics, target_cosine)[i] = row_of(target_, 1)[i];
  }
}

std::unique_ptr<ClassifierTile> make_cpu_classifier_tile(const ClassifierTileSpec& spec, int threads,
                                                         MemorySource& memory) {
  return std::make_unique<CpuClassifierTile>(spec, threads, memory);
}

}  // namespace plsc::backend
