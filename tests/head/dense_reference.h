#pragma once
// The classifier written out in double: all logits at once, one margin per sample, softmax cross-entropy, gradients by
// hand (checked against finite differences in dense_reference_test.cpp), SGD in PyTorch's form.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "plsc/config/config.h"
#include "support/tolerance.h"

namespace plsc::test {

namespace head_tolerance {
inline constexpr double kLoss = 2e-6;      ///< relative; f32 logits of size s have errors of s * 1e-7
inline constexpr double kGradient = 5e-5;  ///< error_of; probabilities carry the errors of exp(z)
inline constexpr double kRows = 1e-5;      ///< error_of, after some steps
}  // namespace head_tolerance

struct DenseResult {
  double loss = 0;
  std::int64_t valid = 0;
  std::int64_t correct = 0;
  Values d_x;  ///< [N, D]
  Values d_weight;
  Values d_bias;
};

struct DenseMargin {
  double value;
  double slope;
};

inline DenseMargin dense_margin(const config::HeadConfig& head, double c) {
  const bool exact = head.gradient == config::MarginGradient::exact;
  const double theta = std::acos(c);
  switch (head.loss) {
    case config::Loss::softmax:
    case config::Loss::norm_softmax: return {c, 1};
    case config::Loss::cosface: return {c - head.margin, 1};
    case config::Loss::arcface: {
      const double m = head.margin;
      if (exact && theta + m > M_PI) return {c - m * std::sin(m), 1};
      return {std::cos(theta + m), exact ? std::sin(theta + m) / std::sin(theta) : 1};
    }
    case config::Loss::combined: {
      const double angle = head.m1 * theta + head.margin;
      return {std::cos(angle) - head.m3, exact ? head.m1 * std::sin(angle) / std::sin(theta) : 1};
    }
  }
  return {c, 1};
}

class DenseHead {
 public:
  DenseHead(const config::HeadConfig& head, std::size_t classes, std::size_t columns, Values weight)
      : head_(head),
        classes_(classes),
        columns_(columns),
        weight(std::move(weight)),
        bias(classes, 0),
        momentum(classes * columns, 0),
        bias_momentum(classes, 0) {}

  DenseResult forward_backward(const Values& x, const std::vector<std::int64_t>& labels) const {
    DenseResult result;
    result.d_x.assign(x.size(), 0);
    result.d_weight.assign(weight.size(), 0);
    result.d_bias.assign(classes_, 0);
    result.valid = std::count_if(labels.begin(), labels.end(), [](std::int64_t label) { return label >= 0; });
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] >= 0) add_sample(x.data() + i * columns_, static_cast<std::size_t>(labels[i]), i, result);
    }
    return result;
  }

  void sgd(const Values& d_weight, const Values& d_bias, double rate, double mu, bool nesterov, double decay) {
    update(weight, momentum, d_weight, rate, mu, nesterov, decay);
    if (head_.bias) update(bias, bias_momentum, d_bias, rate, mu, nesterov, decay);
  }

 private:
  static void update(Values& w, Values& v, const Values& d, double rate, double mu, bool nesterov, double decay) {
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double g = d[i] + decay * w[i];
      v[i] = mu * v[i] + g;
      w[i] -= rate * (nesterov ? g + mu * v[i] : v[i]);
    }
  }

  double length(const double* values) const {
    double squares = 0;
    for (std::size_t d = 0; d < columns_; ++d) squares += values[d] * values[d];
    return std::sqrt(squares);
  }

  /// d (x/|x|) passed back: (g - xh (xh . g)) / |x|, added to out.
  void add_normalized(const Values& gradient, const double* x, double norm, double* out) const {
    if (norm == 0) return;
    double along = 0;
    for (std::size_t d = 0; d < columns_; ++d) along += gradient[d] * x[d] / norm;
    for (std::size_t d = 0; d < columns_; ++d) out[d] += (gradient[d] - along * x[d] / norm) / norm;
  }

  void add_sample(const double* x, std::size_t label, std::size_t place, DenseResult& result) const {
    const bool plain = head_.loss == config::Loss::softmax;
    const double scale = plain ? 1 : static_cast<double>(head_.scale);
    const double x_norm = plain ? 1 : length(x);
    Values norms(classes_, 1);
    Values z(classes_);
    Values slopes(classes_, 1);
    for (std::size_t c = 0; c < classes_; ++c) {
      const double* w = weight.data() + c * columns_;
      if (!plain) norms[c] = length(w);
      double cosine = 0;
      for (std::size_t d = 0; d < columns_; ++d) cosine += x[d] * w[d];
      const double product = x_norm * norms[c];
      cosine = product == 0 ? 0 : cosine / product;
      z[c] = scale * cosine + (head_.bias ? bias[c] : 0);
    }
    const double own = z[label];
    const bool best = std::count_if(z.begin(), z.end(), [&](double other) { return other >= own; }) == 1;
    if (best) ++result.correct;
    if (!plain) {
      const DenseMargin margin = dense_margin(head_, own / scale);
      z[label] = scale * margin.value;
      slopes[label] = margin.slope;
    }
    const double max = *std::max_element(z.begin(), z.end());
    double sum = 0;
    for (const double value : z) sum += std::exp(value - max);
    const double weight_of_sample = 1.0 / static_cast<double>(result.valid);
    result.loss += weight_of_sample * (max + std::log(sum) - z[label]);

    Values d_feature(columns_, 0);
    Values d_row(columns_);
    for (std::size_t c = 0; c < classes_; ++c) {
      const double* w = weight.data() + c * columns_;
      const double probability = std::exp(z[c] - max) / sum;
      const double dz = weight_of_sample * (probability - (c == label ? 1 : 0)) * slopes[c];
      result.d_bias[c] += head_.bias ? dz : 0;
      for (std::size_t d = 0; d < columns_; ++d) {
        d_feature[d] += norms[c] == 0 ? 0 : scale * dz * w[d] / norms[c];
        d_row[d] = x_norm == 0 ? 0 : scale * dz * x[d] / x_norm;
      }
      double* out = result.d_weight.data() + c * columns_;
      if (plain) {
        for (std::size_t d = 0; d < columns_; ++d) out[d] += d_row[d];
      } else {
        add_normalized(d_row, w, norms[c], out);
      }
    }
    double* out = result.d_x.data() + place * columns_;
    if (plain) {
      std::copy(d_feature.begin(), d_feature.end(), out);
    } else {
      add_normalized(d_feature, x, x_norm, out);
    }
  }

  config::HeadConfig head_;
  std::size_t classes_;
  std::size_t columns_;

 public:
  Values weight;  ///< [C, D]
  Values bias;    ///< [C]
  Values momentum;
  Values bias_momentum;
};

}  // namespace plsc::test
