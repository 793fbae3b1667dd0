#include "backend/cpu/classifier_tile.h"

#include <dnnl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>

#include "backend/cpu/classifier_kernels.h"
#include "backend/cpu/classifier_team.h"
#include "plsc/backend/step_state.h"
#include "plsc/core/error.h"

namespace plsc::backend {

namespace {

using cpu::part_range;
using cpu::Range;
using cpu::run_team;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kSmallestNorm = 1e-12F;  // below it a vector counts as zero; torch.nn.functional.normalize has the same

/// Rows per thread whose weights, gradients and logits fit the second-level cache together, within limits where the
/// products are still efficient.
std::int64_t rows_per_thread(const ClassifierTileSpec& spec) {
  constexpr std::int64_t kLeast = 128;
  constexpr std::int64_t kMost = 1024;
  const long reported = sysconf(_SC_LEVEL2_CACHE_SIZE);
  const std::int64_t cache = reported > 0 ? reported : 1 << 20;
  const std::int64_t bytes_per_row = 4 * (2 * spec.embedding + spec.samples);
  return std::clamp(cache / bytes_per_row / 16 * 16, kLeast, kMost);
}

class CpuClassifierTile final : public ClassifierTile {
 public:
  CpuClassifierTile(const ClassifierTileSpec& spec, int threads, MemorySource& memory);

  std::int64_t tile() const override { return tile_; }
  std::size_t scratch_bytes() const override;
  ClassifierBatch make_batch() override;
  void load_features(const Tensor& embeddings, const ClassifierBatch& batch) override;
  void begin_forward() override;
  void forward(const ClassifierBatch& batch, const ClassRows& rows, const Tensor& kept) override;
  void finish_forward(const ClassifierBatch& batch, const Tensor& statistics) override;
  void begin_backward() override;
  void backward(const ClassifierBatch& batch, const ClassRows& rows, const Tensor& kept, const RowStep& step) override;
  void finish_backward(const Tensor& d_features) override;
  void embedding_gradient(const ClassifierBatch& batch, std::int64_t first, const Tensor& d_features,
                          const Tensor& d_embeddings) override;
  void update_rows(std::span<const ClassifierBatch> batches, const ClassRows& rows, const RowStep& step) override;
  void merge_top(const ClassifierBatch& batch, const ClassRows& rows, std::int64_t first_id, int k,
                 const Tensor& values, const Tensor& ids) override;

 private:
  enum class Transpose { no, yes };

  /// C[m, n] = op(A)[m, k] B[k, n] + beta C, all row-major, in the calling thread.
  void product(Transpose transpose, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b,
               float beta, float* c);
  /// body(range of rows) per thread; reports a failed product afterwards.
  template <class Body>
  void for_row_parts(const ClassRows& rows, const Body& body);
  template <class Visit>
  void for_targets(const ClassifierBatch& batch, const ClassRows& rows, Range part, const Visit& visit) const;

  void row_factors(const ClassRows& rows, Range part);
  void raw_logits(const ClassifierBatch& batch, const ClassRows& rows, Range part, float* z);
  void forward_targets(const ClassifierBatch& batch, const ClassRows& rows, Range part, float* z);
  void accumulate_softmax(int part_index, cpu::LogitBlock z, const float* factor, const float* bias);
  void logit_gradient(const ClassifierBatch& batch, const ClassRows& rows, const Tensor& kept, Range part, bool first);
  void row_gradient(const ClassifierBatch& batch, Range part, bool first);
  void step_rows(const ClassRows& rows, Range part, const RowStep& step);

  float* row_of(const Tensor& tensor, std::int64_t row) const { return tensor.data<float>() + row * tensor.shape()[1]; }
  const float* bias_of(const ClassRows& rows, Range part) const {
    return rows.bias.defined() ? rows.bias.data<float>() + part.begin : nullptr;
  }

  MarginSpec margin_;
  bool normalized_;
  float scale_;
  int threads_;
  std::int64_t n_;
  std::int64_t d_;
  std::int64_t tile_;
  MemorySource& memory_;
  std::atomic<bool> product_failed_{false};
  std::atomic<bool> bad_row_{false};  ///< a row of this forward pass was not finite

  Tensor logits_;        ///< [T, N] logits, then their gradients
  Tensor d_weight_;      ///< [T, D]
  Tensor inverse_norm_;  ///< [T] 1/|w|, 0 for a zero row; 1 for plain softmax
  Tensor factor_;        ///< [T] d logit / d (x . w)
  Tensor row_sum_;       ///< [T]
  Tensor d_bias_;        ///< [T] sum over samples of d loss / d logit
  Tensor running_max_;   ///< [threads, N] over the tiles so far
  Tensor running_sum_;   ///< [threads, N] f64, relative to running_max_
  Tensor shift_;         ///< [threads, N]
  Tensor tile_sum_;      ///< [threads, N]
  Tensor target_;        ///< [2, N] the target's logit with and without margin
  Tensor d_features_;    ///< [threads, N * D] one sum per thread, added in order at the end
};

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

template <class Body>
void CpuClassifierTile::for_row_parts(const ClassRows& rows, const Body& body) {
  run_team(threads_, [&](int part_index) {
    const Range part = part_range(rows.size, part_index, threads_);
    if (part.size() > 0) body(part_index, part);
  });
  if (product_failed_) throw Error(ErrorCode::internal, "oneDNN refused a matrix product of the classifier.");
}

/// visit(sample, row of the tile) for every sample whose target is among rows `part` of the tile.
template <class Visit>
void CpuClassifierTile::for_targets(const ClassifierBatch& batch, const ClassRows& rows, Range part,
                                    const Visit& visit) const {
  const std::int64_t* targets = batch.targets.data<std::int64_t>();
  for (std::int64_t i = 0; i < n_; ++i) {
    const std::int64_t row = targets[i] - rows.first_slot;
    if (targets[i] >= 0 && row >= part.begin && row < part.end) visit(i, row);
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

void CpuClassifierTile::begin_backward() { std::memset(d_features_.raw(), 0, d_features_.bytes()); }

/// d loss / d (x . w) of rows `part` into logits_; d_bias_ set, or added to unless `first`.
void CpuClassifierTile::logit_gradient(const ClassifierBatch& batch, const ClassRows& rows, const Tensor& kept,
                                       Range part, bool first) {
  const float* log_sum_exp = row_of(batch.softmax, 0);
  const float* weight = row_of(batch.softmax, 1);
  const float* target_gradient = row_of(batch.softmax, 2);
  const float* factor = factor_.data<float>();
  float* gradient = row_of(logits_, part.begin);
  float* z = kept.defined() ? row_of(kept, part.begin) : gradient;
  if (!kept.defined()) {
    raw_logits(batch, rows, part, z);
    cpu::scale_logits({z, part.size(), n_}, factor + part.begin, bias_of(rows, part));
  }
  for_targets(batch, rows, part,
              [&](std::int64_t i, std::int64_t row) { z[(row - part.begin) * n_ + i] = -kInfinity; });
  float* row_sum = rows.bias.defined() ? row_sum_.data<float>() + part.begin : nullptr;
  cpu::softmax_gradient({z, part.size(), n_}, log_sum_exp, weight, factor + part.begin, gradient, row_sum);
  float* d_bias = d_bias_.data<float>();
  if (rows.bias.defined()) {
    for (std::int64_t row = part.begin; row < part.end; ++row) {
      d_bias[row] = row_sum_.data<float>()[row] + (first ? 0.0F : d_bias[row]);
    }
  }
  for_targets(batch, rows, part, [&](std::int64_t i, std::int64_t row) {
    const float d_logit = target_gradient[i] * batch.target_slope.data<float>()[i];
    gradient[(row - part.begin) * n_ + i] = d_logit * factor[row];
    if (rows.bias.defined()) d_bias[row] += d_logit;
  });
}

/// d_weight_ of rows `part`: gradients of the scaled rows, the normalisation not yet passed.
void CpuClassifierTile::row_gradient(const ClassifierBatch& batch, Range part, bool first) {
  product(Transpose::no, part.size(), d_, n_, row_of(logits_, part.begin), batch.features.data<float>(),
          first ? 0.0F : 1.0F, row_of(d_weight_, part.begin));
}

/// Through the normalisation, dw = g - w (w . g) / |w|^2 where g = d_weight_ has the factor 1/|w| already; then the
/// update, or out it goes.
void CpuClassifierTile::step_rows(const ClassRows& rows, Range part, const RowStep& step) {
  cpu::SgdCoefficients sgd{0.0F, step.momentum, step.weight_decay, step.nesterov};
  if (step.state != nullptr) sgd.rate = static_cast<const StepState*>(step.state->raw())->head_learning_rate;
  for (std::int64_t row = part.begin; row < part.end; ++row) {
    float* w = row_of(rows.weight, row);
    float* gradient = row_of(d_weight_, row);
    if (normalized_) {
      const float inverse = inverse_norm_.data<float>()[row];
      if (inverse == 0.0F) std::fill_n(gradient, d_, 0.0F);  // a zero row has no direction to turn in
      cpu::subtract_scaled(gradient, cpu::dot_product(w, gradient, d_) * inverse * inverse, w, d_);
    }
    if (step.state == nullptr) {
      std::copy_n(gradient, d_, row_of(step.d_weight, row));
      if (step.d_bias.defined()) step.d_bias.data<float>()[row] = d_bias_.data<float>()[row];
      continue;
    }
    float* velocity = rows.weight_momentum.defined() ? row_of(rows.weight_momentum, row) : nullptr;
    cpu::sgd_step(w, velocity, gradient, d_, sgd);
    if (rows.bias.defined()) {
      float* bias_velocity = rows.bias_momentum.defined() ? rows.bias_momentum.data<float>() + row : nullptr;
      cpu::sgd_step(rows.bias.data<float>() + row, bias_velocity, d_bias_.data<float>() + row, 1, sgd);
    }
  }
}

/// Whether anything becomes of row gradients.
bool wants_rows(const RowStep& step) {
  if (step.state != nullptr) return static_cast<const StepState*>(step.state->raw())->skip == 0;
  return step.d_weight.defined();
}

void CpuClassifierTile::backward(const ClassifierBatch& batch, const ClassRows& rows, const Tensor& kept,
                                 const RowStep& step) {
  for_row_parts(rows, [&](int part_index, Range part) {
    row_factors(rows, part);
    logit_gradient(batch, rows, kept, part, true);
    product(Transpose::yes, n_, d_, part.size(), row_of(logits_, part.begin), row_of(rows.weight, part.begin), 1.0F,
            row_of(d_features_, part_index));
    if (!wants_rows(step)) return;
    row_gradient(batch, part, true);
    step_rows(rows, part, step);
  });
}

void CpuClassifierTile::finish_backward(const Tensor& d_features) {
  run_team(threads_, [&](int part_index) {
    const Range part = part_range(n_ * d_, part_index, threads_, 16);
    float* out = d_features.data<float>() + part.begin;
    std::copy_n(row_of(d_features_, 0) + part.begin, part.size(), out);
    for (int other = 1; other < threads_; ++other) {
      cpu::add_to(out, row_of(d_features_, other) + part.begin, part.size());
    }
  });
}

void CpuClassifierTile::embedding_gradient(const ClassifierBatch& batch, std::int64_t first, const Tensor& d_features,
                                           const Tensor& d_embeddings) {
  for (std::int64_t i = 0; i < d_embeddings.shape()[0]; ++i) {
    const float* feature = row_of(batch.features, first + i);
    const float* gradient = row_of(d_features, i);
    float* out = row_of(d_embeddings, i);
    const float along = normalized_ ? cpu::dot_product(feature, gradient, d_) : 0.0F;
    if (out != gradient) std::copy_n(gradient, d_, out);
    cpu::subtract_scaled(out, along, feature, d_);
    cpu::scale_to(out, batch.inverse_norm.data<float>()[first + i], out, d_);
  }
}

void CpuClassifierTile::update_rows(std::span<const ClassifierBatch> batches, const ClassRows& rows,
                                    const RowStep& step) {
  if (batches.empty() || !wants_rows(step)) return;
  for_row_parts(rows, [&](int, Range part) {
    row_factors(rows, part);
    bool first = true;
    for (const ClassifierBatch& batch : batches) {
      logit_gradient(batch, rows, Tensor(), part, first);
      row_gradient(batch, part, first);
      first = false;
    }
    step_rows(rows, part, step);
  });
}

void CpuClassifierTile::merge_top(const ClassifierBatch& batch, const ClassRows& rows, std::int64_t first_id, int k,
                                  const Tensor& values, const Tensor& ids) {
  for_row_parts(rows, [&](int, Range part) {
    float* z = row_of(logits_, part.begin);
    row_factors(rows, part);
    raw_logits(batch, rows, part, z);
    cpu::scale_logits({z, part.size(), n_}, factor_.data<float>() + part.begin, bias_of(rows, part));
  });
  run_team(threads_, [&](int part_index) {
    const Range samples = part_range(n_, part_index, threads_, kSampleMultiple);
    for (std::int64_t row = 0; row < rows.size; ++row) {
      const float* z = row_of(logits_, row);
      for (std::int64_t i = samples.begin; i < samples.end; ++i) {
        float* best = row_of(values, i);
        if (!(z[i] > best[k - 1])) continue;
        std::int64_t* best_ids = ids.data<std::int64_t>() + i * k;
        int place = k - 1;
        for (; place > 0 && z[i] > best[place - 1]; --place) {
          best[place] = best[place - 1];
          best_ids[place] = best_ids[place - 1];
        }
        best[place] = z[i];
        best_ids[place] = first_id + row;
      }
    }
  });
}

}  // namespace

std::unique_ptr<ClassifierTile> make_cpu_classifier_tile(const ClassifierTileSpec& spec, int threads,
                                                         MemorySource& memory) {
  return std::make_unique<CpuClassifierTile>(spec, threads, memory);
}

}  // namespace plsc::backend
