#pragma once
// Evaluation results by name: as JSON for scripts, as a table for people, as scalars for curves and for the choice of
// the best checkpoint.

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "plsc/eval/closed_set.h"
#include "plsc/eval/verification.h"

namespace plsc::eval {

struct NamedResult {
  std::string name;  ///< of the set: "lfw"
  std::variant<VerificationResult, ClosedSetResult> result;
};

/// {"results": [{"name", "kind": "verification", "pairs", "same", "folds", "accuracy", "deviation", "threshold", "auc",
/// "xnorm", "tar_at_far": {"1e-1": ... }}, {"name", "kind": "closed_set", "images", "classes", "top1", "top5"}]},
/// indented, ending in a newline. Rates are fractions of 1; TAR without enough different pairs is null.
std::string to_json(const std::vector<NamedResult>& results);

/// One line per set below a heading per kind, columns aligned; rates in percent, unsupported TAR as "-".
std::string to_table(const std::vector<NamedResult>& results);

/// ("lfw/accuracy", 0.9812) ... in the order of the results, the leading figure of each set first. Unsupported TAR is
/// left out. Larger is better for accuracy, auc, tar_at_far, top1 and top5.
std::vector<std::pair<std::string, double>> to_scalars(const std::vector<NamedResult>& results);

}  // namespace plsc::eval
