// Second pass of the CPU's ClassifierTile: gradients and updates; and the search for the best rows.

#include <algorithm>
#include <cstring>
#include <limits>

#include "backend/cpu/cpu_classifier_tile.h"
#include "plsc/backend/step_state.h"

namespace plsc::backend {

namespace {

using cpu::part_range;
using cpu::Range;
using cpu::run_team;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Whether anything becomes of row gradients.
bool wants_rows(const RowStep& step) {
  if (step.state != nullptr) return static_cast<const StepState*>(step.state->raw())->skip == 0;
  return step.d_weight.defined();
}

}  // namespace

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

}  // namespace plsc::backend
