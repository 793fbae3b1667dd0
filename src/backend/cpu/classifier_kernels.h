#pragma once
// Vector loops of the classifier tiles; Highway picks the widest instruction set at run time. n is always a multiple of
// kSampleMultiple; embeddings have any width.

#include <cstdint>

#include "plsc/backend/step_state.h"

namespace plsc::backend::cpu {

/// [rows, n] logits of a sub-tile.
struct LogitBlock {
  float* values;
  std::int64_t rows;
  std::int64_t n;
};

/// z = z * factor[row] + bias[row] (bias may be null); then max[i] = max(max[i], z[row, i]).
void scale_and_max(LogitBlock block, const float* factor, const float* bias, float* max);

/// z = z * factor[row] + bias[row].
void scale_logits(LogitBlock block, const float* factor, const float* bias);

/// sum[i] += exp(z[row, i] - shift[i]); exponents below the normal floats count as zero.
void add_exp_sums(LogitBlock block, const float* shift, float* sum);

/// out = exp(z - log_sum_exp[i]) * weight[i] * factor[row]; row_sum[row] = sum over i without the factor (may be null).
void softmax_gradient(LogitBlock logits, const float* log_sum_exp, const float* weight, const float* factor, float* out,
                      float* row_sum);

float dot_product(const float* a, const float* b, std::int64_t n);

/// a -= factor * b.
void subtract_scaled(float* a, float factor, const float* b, std::int64_t n);

/// output = factor * input.
void scale_to(const float* input, float factor, float* output, std::int64_t n);

/// a += b.
void add_to(float* a, const float* b, std::int64_t n);

struct SgdCoefficients {
  float rate;
  float momentum;
  float weight_decay;
  bool nesterov;
};

/// g = gradient + weight_decay * w; v = momentum * v + g; w -= rate * (nesterov ? g + momentum * v : v). A null v means
/// no momentum.
void sgd_step(float* weight, float* velocity, const float* gradient, std::int64_t n, SgdCoefficients sgd);

}  // namespace plsc::backend::cpu
