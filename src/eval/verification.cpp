#include "plsc/eval/verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "plsc/core/error.h"

namespace plsc::eval {

namespace {

constexpr int kFolds = 10;
constexpr int kThresholds = 400;
constexpr double kThresholdStep = 0.01;
constexpr std::array kFalseAcceptRates = {1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6};
constexpr double kRounding = 1e-9;  // 1000 * 0.001 must count as 1

void check_input(std::span<const float> embeddings, std::int64_t dimension, std::span<const std::uint8_t> same) {
  if (dimension < 1 || embeddings.size() != 2 * same.size() * static_cast<std::size_t>(dimension)) {
    throw Error(ErrorCode::internal, fmt::format("Verification got {} embedding values of dimension {} for {} pairs "
                                                 "(two rows per pair are needed).",
                                                 embeddings.size(), dimension, same.size()));
  }
  const auto matching = static_cast<std::size_t>(std::count(same.begin(), same.end(), std::uint8_t{1}));
  if (matching == 0 || matching == same.size()) {
    throw Error(ErrorCode::data, fmt::format("Verification of {} pairs needs same and different ones ({} are same). "
                                             "Give a set with both kinds.",
                                             same.size(), matching));
  }
}

/// 1 / L2 norm as sklearn's normalize takes it: a zero row is left alone.
double inverse_norm(std::span<const float> row, std::size_t image) {
  double squares = 0;
  for (const float value : row) squares += static_cast<double>(value) * value;
  if (!std::isfinite(squares)) {
    throw Error(ErrorCode::numeric, fmt::format("The embedding of image {} (pair {}) is not finite. Look for the step "
                                                "at which the loss left its course, or take an earlier checkpoint.",
                                                image, image / 2));
  }
  return squares > 0 ? 1 / std::sqrt(squares) : 1;
}

std::vector<double> squared_distances(std::span<const float> embeddings, std::size_t dimension, std::size_t pairs) {
  std::vector<double> distances(pairs);
  for (std::size_t pair = 0; pair < pairs; ++pair) {
    const auto first = embeddings.subspan(2 * pair * dimension, dimension);
    const auto second = embeddings.subspan((2 * pair + 1) * dimension, dimension);
    const double first_scale = inverse_norm(first, 2 * pair);
    const double second_scale = inverse_norm(second, 2 * pair + 1);
    double sum = 0;
    for (std::size_t i = 0; i < dimension; ++i) {
      const double difference = first[i] * first_scale - second[i] * second_scale;
      sum += difference * difference;
    }
    distances[pair] = sum;
  }
  return distances;
}

using Correct = std::array<std::int64_t, kThresholds>;  ///< pairs judged right, per threshold

Correct count_correct(std::span<const double> distances, std::span<const std::uint8_t> same) {
  Correct correct{};
  for (std::size_t pair = 0; pair < distances.size(); ++pair) {
    for (int t = 0; t < kThresholds; ++t) {
      const bool accepted = distances[pair] < t * kThresholdStep;
      correct[static_cast<std::size_t>(t)] += accepted == (same[pair] != 0) ? 1 : 0;
    }
  }
  return correct;
}

/// Fills folds, accuracy, deviation and threshold.
void cross_validate(std::span<const double> distances, std::span<const std::uint8_t> same, VerificationResult& result) {
  const auto pairs = static_cast<std::int64_t>(distances.size());
  result.folds = static_cast<int>(std::min<std::int64_t>(kFolds, pairs));
  std::vector<Correct> folds;
  std::vector<std::int64_t> sizes;
  std::size_t begin = 0;
  for (int fold = 0; fold < result.folds; ++fold) {
    sizes.push_back(pairs / result.folds + (fold < pairs % result.folds ? 1 : 0));
    const auto size = static_cast<std::size_t>(sizes.back());
    folds.push_back(count_correct(distances.subspan(begin, size), same.subspan(begin, size)));
    begin += size;
  }
  Correct total{};
  for (const Correct& fold : folds) {
    for (std::size_t t = 0; t < total.size(); ++t) total[t] += fold[t];
  }

  std::vector<double> accuracies;
  for (std::size_t fold = 0; fold < folds.size(); ++fold) {
    Correct others;
    for (std::size_t t = 0; t < others.size(); ++t) others[t] = total[t] - folds[fold][t];
    const auto best = static_cast<std::size_t>(std::max_element(others.begin(), others.end()) - others.begin());
    accuracies.push_back(static_cast<double>(folds[fold][best]) / static_cast<double>(sizes[fold]));
    result.accuracy += accuracies.back() / result.folds;
    result.threshold += static_cast<double>(best) * kThresholdStep / result.folds;
  }
  double variance = 0;
  for (const double accuracy : accuracies) variance += std::pow(accuracy - result.accuracy, 2) / result.folds;
  result.deviation = std::sqrt(variance);
}

/// Both sorted. k different pairs may be accepted; the largest threshold that accepts no more is the (k+1)-th smallest
/// distance among them, for a pair is accepted strictly below the threshold.
TarAtFar tar_at(double far, const std::vector<double>& same, const std::vector<double>& different) {
  const double allowed = far * static_cast<double>(different.size()) + kRounding;
  const double threshold = different[static_cast<std::size_t>(allowed)];
  const auto accepted = std::lower_bound(same.begin(), same.end(), threshold) - same.begin();
  return {far, static_cast<double>(accepted) / static_cast<double>(same.size()), allowed >= 1};
}

/// Mann-Whitney: the share of (same, different) couples in which the same pair is nearer. Both sorted.
double area_under_curve(const std::vector<double>& same, const std::vector<double>& different) {
  double nearer = 0;
  for (const double distance : same) {
    const auto [first, last] = std::equal_range(different.begin(), different.end(), distance);
    nearer += static_cast<double>(different.end() - last) + 0.5 * static_cast<double>(last - first);
  }
  return nearer / (static_cast<double>(same.size()) * static_cast<double>(different.size()));
}

}  // namespace

VerificationResult verify(std::span<const float> embeddings, std::int64_t dimension,
                          std::span<const std::uint8_t> same_person, double xnorm) {
  check_input(embeddings, dimension, same_person);
  const std::vector<double> distances =
      squared_distances(embeddings, static_cast<std::size_t>(dimension), same_person.size());
  std::vector<double> same;
  std::vector<double> different;
  for (std::size_t pair = 0; pair < distances.size(); ++pair) {
    (same_person[pair] != 0 ? same : different).push_back(distances[pair]);
  }
  std::sort(same.begin(), same.end());
  std::sort(different.begin(), different.end());

  VerificationResult result;
  result.pairs = static_cast<std::int64_t>(distances.size());
  result.same = static_cast<std::int64_t>(same.size());
  result.xnorm = xnorm;
  cross_validate(distances, same_person, result);
  for (const double far : kFalseAcceptRates) result.tar_at_far.push_back(tar_at(far, same, different));
  result.auc = area_under_curve(same, different);
  return result;
}

}  // namespace plsc::eval
