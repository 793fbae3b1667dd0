#pragma once
// ClassificationMethod: one network, one loader, one row-sharded classifier.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "plsc/data/loader.h"
#include "plsc/optim/sgd.h"
#include "plsc/train/gradient_reducer.h"
#include "plsc/train/method.h"
#include "plsc/train/model.h"
#include "plsc/train/phase_timer.h"

namespace plsc::train {

class ClassificationMethod final : public Method {
 public:
  /// References must outlive the method. Collective. `communicator` carries the head's and the set-up's traffic;
  /// gradients and BatchNorm statistics get duplicates of it.
  ClassificationMethod(const config::Config& config, const data::SampleSource& source, backend::Backend& backend,
                       comm::Communicator& communicator, PhaseTimer& timer);

  void start(std::int64_t step) override;
  StepOutcome step(std::int64_t step, double learning_rate) override;
  std::uint64_t skipped_samples() const override { return loader_ ? loader_->skipped() : 0; }
  void embed(const Tensor& images, std::span<float> out) override { model_.embed(images, out); }
  std::vector<std::vector<std::int64_t>> top_classes(std::span<const float> embeddings, std::int64_t count,
                                                     int k) override {
    return model_.top_classes(embeddings, count, k);
  }
  std::int64_t batch() const override { return model_.batch(); }
  std::int64_t dimension() const override { return config_.model.embedding; }
  std::int64_t num_classes() const override { return model_.num_classes(); }
  void describe(checkpoint::Snapshot& snapshot) override;
  void restored() override;

  /// Fine-tuning: takes the backbone, running statistics included, of a checkpoint that may have other classes.
  /// Collective.
  void start_from(const std::filesystem::path& checkpoint);

  Model& model() { return model_; }

 private:
  void set_state(std::int64_t step, double learning_rate);
  StepOutcome outcome_of(const head::HeadResult& result);

  config::Config config_;
  const data::SampleSource* source_;
  backend::Backend* backend_;
  comm::Communicator* communicator_;
  PhaseTimer* timer_;
  std::unique_ptr<comm::Communicator> gradient_communicator_;
  std::unique_ptr<comm::Communicator> statistics_communicator_;
  Model model_;
  GradientReducer reducer_;
  optim::Sgd optimizer_;
  nn::ForwardContext context_;
  Tensor state_;  ///< StepState
  std::unique_ptr<data::Loader> loader_;
};

}  // namespace plsc::train
