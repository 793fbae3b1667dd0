#pragma once
// The field's verification protocol (insightface eval/verification.py): squared L2 distance of normalised embeddings,
// ten contiguous unshuffled folds, the best threshold of nine applied to the tenth.

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace plsc::eval {

struct TarAtFar {
  double far = 0;    ///< requested false accept rate
  double tar = 0;    ///< true accept rate at the largest threshold whose false accept rate does not exceed it
  bool supported = false;  ///< there are at least 1/far negative pairs
};

struct VerificationResult {
  std::int64_t pairs = 0;
  std::int64_t same = 0;
  int folds = 0;
  double accuracy = 0;   ///< mean over folds
  double deviation = 0;  ///< standard deviation over folds
  double threshold = 0;  ///< mean over folds, on squared distance
  double auc = 0;
  double xnorm = 0;      ///< mean norm of the embeddings before normalisation
  std::vector<TarAtFar> tar_at_far;  ///< 1e-1 ... 1e-6
};

/// embeddings [2 * pairs, D] (flip-summed, not normalised), pair i = rows 2i and 2i + 1.
/// same_person: one flag per pair. Pairs that are fewer than ten use as many folds as there are pairs.
VerificationResult verify(std::span<const float> embeddings, std::int64_t dimension, std::span<const bool> same_person,
                          double xnorm);

}  // namespace plsc::eval
