#pragma once
// Plain, slow, obviously correct operations for tests, templated on the number type and used with double. Tensors are
// vectors in row-major logical order ([N, C, H, W], [O, I, H, W], [rows, columns]).

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "plsc/backend/batch_norm.h"
#include "plsc/backend/convolution.h"

namespace plsc::test::reference {

template <class T>
using Vector = std::vector<T>;

struct ConvolutionSize {
  backend::ConvolutionSpec spec;
  std::int64_t batch, height, width;

  std::int64_t out_height() const { return (height + 2 * spec.padding - spec.kernel) / spec.stride + 1; }
  std::int64_t out_width() const { return (width + 2 * spec.padding - spec.kernel) / spec.stride + 1; }
  std::size_t inputs() const { return static_cast<std::size_t>(batch * spec.in_channels * height * width); }
  std::size_t outputs() const {
    return static_cast<std::size_t>(batch * spec.out_channels * out_height() * out_width());
  }
  std::size_t weights() const {
    return static_cast<std::size_t>(spec.out_channels * spec.in_channels * spec.kernel * spec.kernel);
  }
};

/// body(input index, weight index, output index) for every product of the convolution.
template <class Body>
void for_each_product(const ConvolutionSize& size, const Body& body) {
  const auto& s = size.spec;
  std::size_t out = 0;
  for (std::int64_t n = 0; n < size.batch; ++n) {
    for (std::int64_t o = 0; o < s.out_channels; ++o) {
      for (std::int64_t y = 0; y < size.out_height(); ++y) {
        for (std::int64_t x = 0; x < size.out_width(); ++x, ++out) {
          for (std::int64_t i = 0; i < s.in_channels; ++i) {
            for (int ky = 0; ky < s.kernel; ++ky) {
              for (int kx = 0; kx < s.kernel; ++kx) {
                const std::int64_t iy = y * s.stride + ky - s.padding;
                const std::int64_t ix = x * s.stride + kx - s.padding;
                if (iy < 0 || iy >= size.height || ix < 0 || ix >= size.width) continue;
                body(static_cast<std::size_t>(((n * s.in_channels + i) * size.height + iy) * size.width + ix),
                     static_cast<std::size_t>(((o * s.in_channels + i) * s.kernel + ky) * s.kernel + kx), out);
              }
            }
          }
        }
      }
    }
  }
}

template <class T>
Vector<T> convolution(const ConvolutionSize& size, const Vector<T>& input, const Vector<T>& weights) {
  Vector<T> output(size.outputs(), T(0));
  for_each_product(size, [&](std::size_t i, std::size_t w, std::size_t o) { output[o] += input[i] * weights[w]; });
  return output;
}

template <class T>
Vector<T> convolution_backward_data(const ConvolutionSize& size, const Vector<T>& d_output, const Vector<T>& weights) {
  Vector<T> d_input(size.inputs(), T(0));
  for_each_product(size, [&](std::size_t i, std::size_t w, std::size_t o) { d_input[i] += d_output[o] * weights[w]; });
  return d_input;
}

template <class T>
Vector<T> convolution_backward_weights(const ConvolutionSize& size, const Vector<T>& input, const Vector<T>& d_output) {
  Vector<T> d_weights(size.weights(), T(0));
  for_each_product(size, [&](std::size_t i, std::size_t w, std::size_t o) { d_weights[w] += d_output[o] * input[i]; });
  return d_weights;
}

/// a [M, K] (or its transpose in memory) times b [K, N] (or its transpose).
template <class T>
Vector<T> product(const Vector<T>& a, bool a_transposed, const Vector<T>& b, bool b_transposed, std::size_t m,
                  std::size_t k, std::size_t n) {
  Vector<T> c(m * n, T(0));
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t l = 0; l < k; ++l) {
        c[i * n + j] += (a_transposed ? a[l * m + i] : a[i * k + l]) * (b_transposed ? b[j * k + l] : b[l * n + j]);
      }
    }
  }
  return c;
}

/// Sizes and constants of a BatchNorm over [N, C, spatial]; samples from `valid` on do not count.
template <class T>
struct BatchNormCase {
  backend::BatchNormSpec spec;
  std::size_t batch, channels, spatial, valid;
  Vector<T> gamma, beta, slope;  // [C]

  std::size_t channel(std::size_t index) const { return index / spatial % channels; }
  bool counts(std::size_t index) const { return index / (spatial * channels) < valid; }
  T count() const { return static_cast<T>(valid * spatial); }
};

template <class T>
struct Statistics {
  Vector<T> mean, variance;  // [C], biased
};

template <class T>
Statistics<T> batch_statistics(const BatchNormCase<T>& c, const Vector<T>& x) {
  Statistics<T> s{Vector<T>(c.channels, T(0)), Vector<T>(c.channels, T(0))};
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (c.counts(i)) s.mean[c.channel(i)] += x[i] / c.count();
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const T d = x[i] - s.mean[c.channel(i)];
    if (c.counts(i)) s.variance[c.channel(i)] += d * d / c.count();
  }
  return s;
}

template <class T>
T activate(backend::Activation activation, T z, T slope) {
  if (activation == backend::Activation::none || z > 0) return z;
  return activation == backend::Activation::relu ? T(0) : slope * z;
}

/// `residual` may be empty.
template <class T>
Vector<T> batch_norm(const BatchNormCase<T>& c, const Statistics<T>& s, const Vector<T>& x, const Vector<T>& residual) {
  Vector<T> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t k = c.channel(i);
    const T z = c.gamma[k] * (x[i] - s.mean[k]) / std::sqrt(s.variance[k] + T(c.spec.epsilon)) + c.beta[k] +
                (residual.empty() ? T(0) : residual[i]);
    y[i] = activate(c.spec.activation, z, c.slope[k]);
  }
  return y;
}

template <class T>
struct BatchNormGradients {
  Vector<T> d_input, d_residual;       // of the input's size
  Vector<T> d_gamma, d_beta, d_slope;  // [C]
};

/// `fixed`: the statistics do not depend on the input (inference mode).
template <class T>
BatchNormGradients<T> batch_norm_backward(const BatchNormCase<T>& c, const Statistics<T>& s, const Vector<T>& x,
                                          const Vector<T>& residual, const Vector<T>& dy, bool fixed) {
  const Vector<T> zero(c.channels, T(0));
  BatchNormGradients<T> g{Vector<T>(x.size(), T(0)), Vector<T>(x.size(), T(0)), zero, zero, zero};
  const auto xhat = [&](std::size_t i) {
    const std::size_t k = c.channel(i);
    return (x[i] - s.mean[k]) / std::sqrt(s.variance[k] + T(c.spec.epsilon));
  };
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!c.counts(i)) continue;
    const std::size_t k = c.channel(i);
    const T z = c.gamma[k] * xhat(i) + c.beta[k] + (residual.empty() ? T(0) : residual[i]);
    const bool passes = c.spec.activation == backend::Activation::none || z > 0;
    const T through = c.spec.activation == backend::Activation::relu ? T(0) : c.slope[k];
    g.d_residual[i] = passes ? dy[i] : through * dy[i];
    if (!passes && c.spec.activation == backend::Activation::prelu) g.d_slope[k] += dy[i] * z;
    g.d_beta[k] += g.d_residual[i];
    g.d_gamma[k] += g.d_residual[i] * xhat(i);
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!c.counts(i)) continue;
    const std::size_t k = c.channel(i);
    const T scale = c.gamma[k] / std::sqrt(s.variance[k] + T(c.spec.epsilon));
    const T mean = fixed ? T(0) : (g.d_beta[k] + xhat(i) * g.d_gamma[k]) / c.count();
    g.d_input[i] = scale * (g.d_residual[i] - mean);
  }
  return g;
}

/// Central differences of sum(weights * f(x)) with respect to x.
template <class F>
std::vector<double> finite_differences(const F& f, std::vector<double> x, const std::vector<double>& weights) {
  constexpr double kStep = 1e-5;
  const auto value = [&] {
    const std::vector<double> y = f(x);
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += weights[i] * y[i];
    return sum;
  };
  std::vector<double> gradient(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double kept = x[i];
    x[i] = kept + kStep;
    const double above = value();
    x[i] = kept - kStep;
    gradient[i] = (above - value()) / (2 * kStep);
    x[i] = kept;
  }
  return gradient;
}

}  // namespace plsc::test::reference
