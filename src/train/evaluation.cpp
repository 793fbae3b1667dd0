#include "plsc/train/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "plsc/comm/agreement.h"

namespace plsc::train {

Evaluation::Evaluation(const config::EvalConfig& config, const config::DataConfig& data, std::int64_t num_classes,
                       comm::Communicator& communicator)
    : config_(config), data_(data) {
  comm::run_agreed(communicator, [&] {
    const auto add = [this](eval::VerificationSet set) {
      set.name = unique_name(set.name);
      verification_.push_back(std::move(set));
    };
    for (const std::string& path : config.verification) add(eval::read_bin(path));
    for (const std::string& path : config.pairs) add(eval::read_pair_list(path, config.pairs_root));
    for (const std::string& path : config.lists) {
      closed_.push_back({unique_name(std::filesystem::path(path).stem().string()),
                         data::open_list(path, config.lists_root, num_classes, data.on_error)});
    }
  });
}

/// File names may repeat in different folders: the second "val" becomes "val-2".
std::string Evaluation::unique_name(const std::string& name) const {
  const auto taken = [this](const std::string& candidate) {
    const auto same = [&candidate](const auto& set) { return set.name == candidate; };
    return std::any_of(verification_.begin(), verification_.end(), same) ||
           std::any_of(closed_.begin(), closed_.end(), same);
  };
  std::string candidate = name;
  for (int copy = 2; taken(candidate); ++copy) candidate = fmt::format("{}-{}", name, copy);
  return candidate;
}

eval::EmbedOptions Evaluation::options(const EvaluatedNetwork& network) const {
  eval::EmbedOptions options;
  options.height = data_.height;
  options.width = data_.width;
  options.batch = network.batch;
  options.dimension = network.dimension;
  options.flip = config_.flip;
  options.decode_threads = std::max(1, data_.workers);
  return options;
}

std::vector<eval::NamedResult> Evaluation::run(const EvaluatedNetwork& network,
                                               comm::Communicator& communicator) const {
  std::vector<eval::NamedResult> results;
  for (const eval::VerificationSet& set : verification_) {
    const eval::Embeddings embeddings =
        eval::embed_all(eval::VerificationImages(set), options(network), network.embed, communicator);
    results.push_back({set.name, eval::verify(embeddings.rows, network.dimension, set.same, embeddings.xnorm)});
  }
  for (const ClosedSet& set : closed_) {
    eval::EmbedOptions once = options(network);
    once.flip = false;  // the head was trained on single embeddings
    results.push_back(
        {set.name, eval::evaluate_closed_set(*set.source, once, network.embed, network.top_classes, communicator)});
  }
  return results;
}

}  // namespace plsc::train
