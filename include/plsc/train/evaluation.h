#pragma once
// Evaluation: the sets a configuration names, read once, and run on a network as often as wanted.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plsc/comm/communicator.h"
#include "plsc/config/config.h"
#include "plsc/data/source.h"
#include "plsc/eval/embedder.h"
#include "plsc/eval/report.h"
#include "plsc/eval/verification_set.h"

namespace plsc::train {

/// How evaluation reaches the network; `top_classes` only for closed sets.
struct EvaluatedNetwork {
  std::int64_t batch = 0;      ///< images per embed call
  std::int64_t dimension = 0;  ///< D
  eval::EmbedFunction embed;
  eval::TopClasses top_classes;
};

class Evaluation {
 public:
  /// Reads lists and verification files on every rank; errors are agreed. Collective. num_classes bounds the labels of
  /// closed-set lists.
  Evaluation(const config::EvalConfig& config, const config::DataConfig& data, std::int64_t num_classes,
             comm::Communicator& communicator);

  bool empty() const { return verification_.empty() && closed_.empty(); }
  bool needs_classifier() const { return !closed_.empty(); }
  /// Every set on every rank; results are equal on all ranks. Collective.
  std::vector<eval::NamedResult> run(const EvaluatedNetwork& network, comm::Communicator& communicator) const;

 private:
  struct ClosedSet {
    std::string name;
    std::unique_ptr<data::SampleSource> source;
  };

  std::string unique_name(const std::string& path) const;
  eval::EmbedOptions options(const EvaluatedNetwork& network) const;

  config::EvalConfig config_;
  config::DataConfig data_;
  std::vector<eval::VerificationSet> verification_;
  std::vector<ClosedSet> closed_;
};

}  // namespace plsc::train
