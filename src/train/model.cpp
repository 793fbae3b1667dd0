#include "plsc/train/model.h"

#include <algorithm>
#include <sstream>

#include "plsc/comm/agreement.h"
#include "plsc/core/error.h"

namespace plsc::train {

namespace {

std::string encode(const backend::TunedChoices& choices) {
  std::string text;
  for (const auto& [key, choice] : choices) text += key + "\t" + choice + "\n";
  return text;
}

backend::TunedChoices decode(const std::string& text) {
  backend::TunedChoices choices;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t tab = line.find('\t');
    choices[line.substr(0, tab)] = line.substr(tab + 1);
  }
  return choices;
}

head::ClassifierOptions classifier_options(const config::Config& config, std::int64_t num_classes, std::int64_t batch) {
  head::ClassifierOptions options;
  options.head = config.head;
  options.num_classes = num_classes;
  options.embedding = config.model.embedding;
  options.batch = batch;
  options.seed = config.train.seed;
  options.momentum = config.optim.momentum;
  options.nesterov = config.optim.nesterov;
  options.weight_decay =
      config.optim.head_weight_decay < 0 ? config.optim.weight_decay : config.optim.head_weight_decay;
  return options;
}

}  // namespace

Model::Model(const config::Config& config, std::int64_t num_classes, std::int64_t batch, nn::Mode mode,
             backend::Backend& backend, comm::Communicator& communicator)
    : config_(config), num_classes_(num_classes), batch_(batch), backend_(&backend), inference_(backend) {
  comm::run_agreed(communicator, [&] {
    backbone_ = models::make_backbone(config.model, config.data.height, config.data.width, backend, config.train.seed);
  });
  plan(mode, communicator);
  classifier_ = head::make_sharded_classifier(classifier_options(config, num_classes, batch), backend, communicator);
  const Shape shape{batch, 3, config.data.height, config.data.width};
  pixels_ = backend.tensor(shape, DType::u8);
  input_ = backend.tensor(shape);
  batches_tracked_ = Tensor(heap_memory(), Shape{}, DType::i64);
  set_batches_tracked(0);
}

/// Rank 0 times the variants of every operation; the others build theirs from its choices (contract C13).
void Model::plan(nn::Mode mode, comm::Communicator& communicator) {
  std::string choices;
  if (communicator.rank() == 0) {
    backbone_->plan(batch_, mode);
    choices = encode(backend_->tuned_choices());
  }
  choices = communicator.broadcast_text(choices, 0);
  if (communicator.rank() == 0) return;
  backend_->set_tuned_choices(decode(choices));
  backbone_->plan(batch_, mode);
}

Tensor Model::forward(const Tensor& images, nn::ForwardContext& context) {
  backend_->copy_from_host(std::as_bytes(images.host_span<std::uint8_t>()), pixels_);
  const float divisor = config_.data.normalization == config::Normalization::plsc ? 128.0F : 127.5F;
  // The tape keeps the stem's input until backward is through, so a second forward needs memory of its own.
  if (input_.use_count() > 1) input_ = backend_->tensor(input_.shape());
  backend_->normalize_images(pixels_, divisor, input_);
  return backbone_->forward(input_, context);
}

void Model::embed(const Tensor& images, std::span<float> out) {
  inference_.begin(nn::Mode::inference, batch_, batch_);
  const Tensor embeddings = forward(images, inference_);
  backend_->copy_to_host(embeddings, std::as_writable_bytes(out));
}

std::vector<std::vector<std::int64_t>> Model::top_classes(std::span<const float> embeddings, std::int64_t count,
                                                          int k) {
  const std::int64_t dimension = config_.model.embedding;
  std::vector<float> padded(static_cast<std::size_t>(batch_ * dimension), 0.0F);
  std::copy_n(embeddings.begin(), count * dimension, padded.begin());
  const Tensor device = backend_->tensor(Shape{batch_, dimension});
  backend_->copy_from_host(std::as_bytes(std::span(padded)), device);
  std::vector<std::vector<std::int64_t>> best = classifier_->top_classes(device, k);
  best.resize(static_cast<std::size_t>(count));
  return best;
}

std::vector<checkpoint::NamedTensor> Model::backbone_tensors() {
  std::vector<checkpoint::NamedTensor> tensors;
  for (const nn::Parameter* parameter : backbone_->parameters().parameters()) {
    tensors.push_back({parameter->name, parameter->value});
  }
  for (const nn::StateBuffer* buffer : backbone_->parameters().buffers()) {
    tensors.push_back({buffer->name, buffer->value});
    const std::string suffix = ".running_mean";
    if (!buffer->name.ends_with(suffix)) continue;
    tensors.push_back(
        {buffer->name.substr(0, buffer->name.size() - suffix.size()) + ".num_batches_tracked", batches_tracked_});
  }
  return tensors;
}

std::vector<checkpoint::NamedTensor> Model::momentum_tensors() {
  std::vector<checkpoint::NamedTensor> tensors;
  const nn::ParameterStore& store = backbone_->parameters();
  for (const nn::Parameter* parameter : store.parameters()) {
    if (!parameter->trainable) continue;
    tensors.push_back(
        {parameter->name + ".momentum", store.momentum().view(store.offset_of(*parameter), parameter->shape)});
  }
  return tensors;
}

std::vector<checkpoint::ShardedTensor> Model::head_tensors() {
  std::vector<checkpoint::ShardedTensor> tensors;
  const head::RowShard& shard = classifier_->shard();
  for (const head::RowState& state : classifier_->row_state()) {
    tensors.push_back({state.name, shard.begin, shard.total, state.tensor});
  }
  return tensors;
}

void Model::set_batches_tracked(std::int64_t steps) { *batches_tracked_.data<std::int64_t>() = steps; }

}  // namespace plsc::train
