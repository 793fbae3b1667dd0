#pragma once
// The field's verification protocol (insightface eval/verification.py): squared L2 distance of normalised embeddings,
// ten contiguous unshuffled folds, the best threshold of nine applied to the tenth.

#include <cstdint>
#include <span>
#include <vector>

namespace plsc::eval {

struct TarAtFar {
  double far = 0;          ///< requested false accept rate
  double tar = 0;          ///< true accept rate at the largest threshold whose false accept rate does not exceed it
  bool supported = false;  ///< there are at least 1/far negative pairs
};

struct VerificationResult {
  std::int64_t pairs = 0;
  std::int64_t same = 0;
  int folds = 0;
  double accuracy = 0;   ///< mean over folds
  double deviation = 0;  ///< standard deviation over folds (of the population, as numpy.std)
  double threshold = 0;  ///< mean over folds, on squared distance; a pair is accepted when its distance is below
  double auc = 0;        ///< area under the ROC curve, exact: P(same pair nearer than different pair), ties count half
  double xnorm = 0;      ///< mean norm of the embeddings before normalisation, as handed in
  std::vector<TarAtFar> tar_at_far;  ///< 1e-1 ... 1e-6
};

/// embeddings [2 * pairs, D] (flip-summed, not normalised), pair i = rows 2i and 2i + 1; a zero row stays zero.
/// same_person: 0 or 1 per pair; both must occur (Error{data}). Fewer than ten pairs use one fold per pair.
///
/// Accuracy, deviation and threshold are insightface's: thresholds 0, 0.01 ... 3.99, folds as sklearn's
/// KFold(10, shuffle=False), the first best threshold. TAR at FAR is exact over all pairs, from the sorted distances of
/// the different pairs. insightface's VAL@FAR differs a little: in each fold it interpolates the threshold that has
/// this rate on the other nine, on a grid of step 0.001, applies it to the fold and averages, so that the rate it
/// really has is near the one asked for and the steps of the grid limit what can be told apart. Error{numeric} names
/// the first embedding that is not finite.
VerificationResult verify(std::span<const float> embeddings, std::int64_t dimension,
                          std::span<const std::uint8_t> same_person, double xnorm);

}  // namespace plsc::eval
