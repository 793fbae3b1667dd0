#pragma once
// Model: backbone and classifier as training and evaluation share them, with the tensors a checkpoint holds.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "plsc/backend/backend.h"
#include "plsc/checkpoint/checkpoint.h"
#include "plsc/comm/communicator.h"
#include "plsc/config/config.h"
#include "plsc/head/classifier.h"
#include "plsc/models/backbone.h"

namespace plsc::train {

class Model {
 public:
  /// `batch`: images per rank and forward; `mode`: what is planned. References must outlive the model. Collective.
  Model(const config::Config& config, std::int64_t num_classes, std::int64_t batch, nn::Mode mode,
        backend::Backend& backend, comm::Communicator& communicator);

  models::Backbone& backbone() { return *backbone_; }
  head::ShardedClassifier& classifier() { return *classifier_; }
  backend::Backend& backend() { return *backend_; }
  std::int64_t batch() const { return batch_; }
  std::int64_t num_classes() const { return num_classes_; }

  /// images [batch, 3, H, W] u8 host -> embeddings [batch, D] in backend memory, by the running statistics when
  /// context mode is inference. context.begin() was called.
  Tensor forward(const Tensor& images, nn::ForwardContext& context);
  void embed(const Tensor& images, std::span<float> out);
  std::vector<std::vector<std::int64_t>> top_classes(std::span<const float> embeddings, std::int64_t count, int k);

  /// Backbone tensors under arcface_torch's names, running statistics and num_batches_tracked included.
  std::vector<checkpoint::NamedTensor> backbone_tensors();
  std::vector<checkpoint::NamedTensor> momentum_tensors();
  std::vector<checkpoint::ShardedTensor> head_tensors();
  void set_batches_tracked(std::int64_t steps);

 private:
  void plan(nn::Mode mode, comm::Communicator& communicator);

  config::Config config_;
  std::int64_t num_classes_;
  std::int64_t batch_;
  backend::Backend* backend_;
  std::unique_ptr<models::Backbone> backbone_;
  std::unique_ptr<head::ShardedClassifier> classifier_;
  nn::ForwardContext inference_;
  Tensor pixels_;           ///< [batch, 3, H, W] u8 in backend memory
  Tensor input_;            ///< [batch, 3, H, W] f32
  Tensor batches_tracked_;  ///< i64 scalar, shared by all BatchNorm layers
};

}  // namespace plsc::train
