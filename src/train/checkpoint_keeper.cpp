#include "plsc/train/checkpoint_keeper.h"

#include <fmt/format.h>

#include "plsc/checkpoint/checkpoint.h"
#include "plsc/config/load.h"
#include "plsc/core/error.h"
#include "plsc/core/log.h"

namespace plsc::train {

namespace {

constexpr const char* kGlobalBatch = "global_batch";
constexpr const char* kSeed = "seed";
constexpr const char* kBestMetric = "best_metric";

checkpoint::Snapshot snapshot_of(Method& method, std::int64_t step, const config::Config& config) {
  checkpoint::Snapshot snapshot;
  snapshot.step = step;
  snapshot.samples = step * config.train.global_batch;
  method.describe(snapshot);
  snapshot.facts[kGlobalBatch] = std::to_string(config.train.global_batch);
  snapshot.facts[kSeed] = std::to_string(config.train.seed);
  return snapshot;
}

}  // namespace

CheckpointKeeper::CheckpointKeeper(const config::Config& config, comm::Communicator& communicator)
    : config_(config),
      communicator_(&communicator),
      root_(std::filesystem::path(config.train.output) / "checkpoints") {}

std::optional<std::filesystem::path> CheckpointKeeper::latest() const {
  std::string found;
  if (communicator_->rank() == 0) found = checkpoint::find_latest(root_).value_or("").string();
  found = communicator_->broadcast_text(found, 0);
  if (found.empty()) return std::nullopt;
  return std::filesystem::path(found);
}

std::int64_t CheckpointKeeper::resume(const std::filesystem::path& directory, Method& method) const {
  const checkpoint::Manifest manifest = checkpoint::read_manifest(directory);
  checkpoint::Snapshot snapshot = snapshot_of(method, manifest.step, config_);
  std::map<std::string, std::string> expected = snapshot.facts;
  expected.erase(kBackendFact);
  checkpoint::require_match(manifest, expected);
  checkpoint::load(directory, snapshot, *communicator_);
  method.restored();
  return manifest.step;
}

void CheckpointKeeper::reuse_choices(const std::filesystem::path& directory, backend::Backend& backend) const {
  const checkpoint::Manifest manifest = checkpoint::read_manifest(directory);
  const auto written_on = manifest.facts.find(kBackendFact);
  if (written_on != manifest.facts.end() && written_on->second == backend.description()) {
    backend.set_tuned_choices(manifest.tuned_choices);
    return;
  }
  log::info(
      fmt::format("the checkpoint was written on another device or thread count ({}); this run continues it within "
                  "rounding, not bit by bit",
                  written_on == manifest.facts.end() ? "unknown" : written_on->second));
}

std::filesystem::path CheckpointKeeper::save(Method& method, std::int64_t step, const Metrics& metrics) {
  checkpoint::Snapshot snapshot = snapshot_of(method, step, config_);
  snapshot.metrics = {metrics.begin(), metrics.end()};
  if (!metrics.empty()) {
    snapshot.facts[kBestMetric] = config_.eval.best_metric.empty() ? metrics.front().first : config_.eval.best_metric;
  }
  snapshot.config_yaml = config::to_yaml(config_);
  std::filesystem::path saved;
  try {
    saved = checkpoint::save(snapshot, root_, *communicator_);
  } catch (const Error& error) {
    CollectiveError agreed(error);
    agreed.add_context(fmt::format("saving the checkpoint of step {}; older checkpoints are untouched", step));
    throw agreed;
  }
  if (communicator_->rank() == 0) {
    checkpoint::prune(root_, config_.checkpoint.keep, config_.checkpoint.keep_best ? best() : std::nullopt);
  }
  return saved;
}

std::optional<std::filesystem::path> CheckpointKeeper::best() const {
  std::optional<std::filesystem::path> best;
  double best_value = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(root_, ignored)) {
    if (!checkpoint::find_latest(entry.path())) continue;
    const checkpoint::Manifest manifest = checkpoint::read_manifest(entry.path());
    const auto name = manifest.facts.find(kBestMetric);
    if (name == manifest.facts.end()) continue;
    const auto wanted = manifest.metrics.find(name->second);
    if (wanted == manifest.metrics.end()) continue;
    if (!best || wanted->second > best_value) {
      best = entry.path();
      best_value = wanted->second;
    }
  }
  return best;
}

}  // namespace plsc::train
