#include "plsc/head/exchange.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace plsc::head {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

SoftmaxExchange::SoftmaxExchange(comm::Communicator& communicator, std::int64_t samples)
    : communicator_(communicator),
      samples_(static_cast<std::size_t>(samples)),
      all_(static_cast<std::size_t>(communicator.size()) * 3 * samples_),
      other_max_(samples_) {}

SoftmaxTotals SoftmaxExchange::combine(std::span<const float> statistics, std::span<const std::int64_t> labels,
                                       std::span<float> softmax) {
  communicator_.all_gather(std::as_bytes(statistics), std::as_writable_bytes(std::span(all_)));
  SoftmaxTotals totals;
  for (const std::int64_t label : labels) totals.valid += label >= 0 ? 1 : 0;
  const double weight = totals.valid > 0 ? 1.0 / static_cast<double>(totals.valid) : 0.0;
  double sum = 0;
  for (std::size_t i = 0; i < samples_; ++i) {
    const Sample sample = combine_sample(i);
    const bool counts = labels[i] >= 0;
    softmax[i] = counts ? static_cast<float>(sample.log_sum_exp) : 0.0F;
    softmax[samples_ + i] = counts ? static_cast<float>(weight) : 0.0F;
    softmax[2 * samples_ + i] = counts ? static_cast<float>(-weight * sample.miss) : 0.0F;
    if (counts) sum += sample.loss;
  }
  totals.loss = sum * weight;
  totals.finite = std::isfinite(totals.loss);
  return totals;
}

/// With a = log of the sum of exp over the other classes and t the target's logit: loss = log(1 + exp(a - t)) and
/// 1 - p = 1 / (1 + exp(t - a)); nothing cancels however small they become.
SoftmaxExchange::Sample SoftmaxExchange::combine_sample(std::size_t i) {
  const std::size_t world = all_.size() / (3 * samples_);
  const auto value = [&](std::size_t rank, std::size_t row) { return all_[(rank * 3 + row) * samples_ + i]; };
  float max = -kInfinity;
  double target = -kInfinity;
  for (std::size_t rank = 0; rank < world; ++rank) {
    max = std::max(max, value(rank, 0));
    if (value(rank, 2) != -kInfinity) target = value(rank, 2);  // true for NaN too, which must reach the loss
  }
  double sum = 0;
  for (std::size_t rank = 0; rank < world; ++rank) {
    if (std::isnan(value(rank, 1))) sum = value(rank, 1);
    if (value(rank, 0) != -kInfinity) sum += value(rank, 1) * std::exp(static_cast<double>(value(rank, 0)) - max);
  }
  other_max_[i] = max;
  const double others = sum == 0 ? -static_cast<double>(kInfinity) : max + std::log(sum);
  const double margin = others - target;
  const double loss = margin > 0 ? margin + std::log1p(std::exp(-margin)) : std::log1p(std::exp(margin));
  return {loss, target + loss, 1.0 / (1.0 + std::exp(-margin))};
}

}  // namespace plsc::head
