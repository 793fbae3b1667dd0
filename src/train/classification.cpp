#include "plsc/train/classification.h"

#include <fmt/format.h>

#include <cmath>

#include "plsc/comm/agreement.h"
#include "plsc/core/error.h"

namespace plsc::train {

namespace {

optim::FlatParameters flat_parameters(const nn::ParameterStore& store, const config::OptimConfig& config) {
  const auto decays = [&config](nn::ParameterKind kind) {
    switch (kind) {
      case nn::ParameterKind::weight: return true;
      case nn::ParameterKind::bias: return config.decay_bias;
      case nn::ParameterKind::batch_norm: return config.decay_batch_norm;
      case nn::ParameterKind::prelu: return config.decay_prelu;
    }
    return true;
  };
  optim::FlatParameters flat{store.values(), store.gradients(), store.momentum(), {}};
  for (const nn::Parameter* parameter : store.parameters()) {
    if (!parameter->trainable) continue;
    flat.segments.push_back({store.offset_of(*parameter), static_cast<std::size_t>(parameter->shape.elements()),
                             decays(parameter->kind) ? config.weight_decay : 0.0F});
  }
  return flat;
}

std::int64_t padded_batch(const config::Config& config, const comm::Communicator& communicator) {
  return data::share_of(config.train.global_batch, communicator.rank(), communicator.size()).padded;
}

}  // namespace

ClassificationMethod::ClassificationMethod(const config::Config& config, const data::SampleSource& source,
                                           backend::Backend& backend, comm::Communicator& communicator,
                                           PhaseTimer& timer)
    : config_(config),
      source_(&source),
      backend_(&backend),
      communicator_(&communicator),
      timer_(&timer),
      gradient_communicator_(communicator.duplicate()),
      statistics_communicator_(communicator.duplicate()),
      model_(config, source.num_classes(), padded_batch(config, communicator), nn::Mode::training, backend,
             communicator),
      reducer_(model_.backbone().parameters(), *gradient_communicator_, config.system.bucket_bytes),
      optimizer_(config.optim, flat_parameters(model_.backbone().parameters(), config.optim), backend),
      context_(backend),
      state_(backend::make_step_state(backend.memory())) {
  if (config.model.batch_norm.synchronized) context_.statistics_communicator = statistics_communicator_.get();
  context_.gradient_ready = [this](const nn::Parameter& parameter) {
    const PhaseTimer::Scope scope(*timer_, Phase::communication);
    reducer_.ready(parameter);
  };
}

void ClassificationMethod::start(std::int64_t step) {
  data::LoaderOptions options;
  options.data = config_.data;
  options.seed = config_.train.seed;
  options.global_batch = config_.train.global_batch;
  options.rank = communicator_->rank();
  options.world_size = communicator_->size();
  options.first_step = step;
  loader_ = data::make_loader(*source_, options);
}

void ClassificationMethod::set_state(std::int64_t step, double learning_rate) {
  const backend::StepState state{static_cast<float>(learning_rate),
                                 static_cast<float>(learning_rate * config_.optim.head_lr_factor), 1.0F, 0, step};
  backend_->copy_from_host(std::as_bytes(std::span(&state, 1)), state_);
}

StepOutcome ClassificationMethod::step(std::int64_t step, double learning_rate) {
  data::HostBatch batch;
  {
    const PhaseTimer::Scope scope(*timer_, Phase::data);
    batch = loader_->next();
  }
  set_state(step, learning_rate);

  Tensor embeddings;
  {
    const PhaseTimer::Scope scope(*timer_, Phase::forward);
    context_.begin(nn::Mode::training, batch.valid, config_.train.global_batch);
    embeddings = model_.forward(batch.images, context_);
  }
  head::HeadResult result;
  {
    const PhaseTimer::Scope scope(*timer_, Phase::head);
    result = model_.classifier().forward_backward(embeddings, batch.labels, head::RowUpdate::fused, state_);
  }
  if (!result.finite) return outcome_of(result);
  {
    const PhaseTimer::Scope scope(*timer_, Phase::backward);
    reducer_.begin(!config_.model.batch_norm.synchronized);
    model_.backbone().backward(result.d_embeddings, context_);
  }
  {
    const PhaseTimer::Scope scope(*timer_, Phase::communication);
    reducer_.finish();
  }
  {
    const PhaseTimer::Scope scope(*timer_, Phase::update);
    optimizer_.step(state_);
    model_.backbone().parameters().touch();
  }
  return outcome_of(result);
}

StepOutcome ClassificationMethod::outcome_of(const head::HeadResult& result) {
  StepOutcome outcome{result.loss, result.valid, result.correct, 0, result.finite};
  if (!result.finite) return outcome;
  double squares = 0;
  backend_->copy_to_host(optimizer_.gradient_sum_of_squares(), std::as_writable_bytes(std::span(&squares, 1)));
  outcome.gradient_norm = std::sqrt(squares);
  outcome.finite = std::isfinite(squares);
  return outcome;
}

void ClassificationMethod::describe(checkpoint::Snapshot& snapshot) {
  model_.set_batches_tracked(snapshot.step);
  snapshot.backbone = model_.backbone_tensors();
  snapshot.optimizer = model_.momentum_tensors();
  snapshot.head = model_.head_tensors();
  const models::BackboneSpec& spec = model_.backbone().spec();
  snapshot.facts = {{"network", spec.network},
                    {"image", fmt::format("{}x{}", spec.height, spec.width)},
                    {"embedding", std::to_string(spec.embedding)},
                    {"num_classes", std::to_string(model_.num_classes())},
                    {kBackendFact, backend_->description()}};
  snapshot.tuned_choices = backend_->tuned_choices();
}

void ClassificationMethod::start_from(const std::filesystem::path& checkpoint) {
  comm::run_agreed(*communicator_, [&] {
    std::vector<checkpoint::NamedTensor> tensors = model_.backbone_tensors();
    with_context([] { return std::string("train.init_from"); },
                 [&] { checkpoint::load_backbone(checkpoint, tensors); });
  });
  restored();
}

void ClassificationMethod::restored() { model_.backbone().parameters().touch(); }

}  // namespace plsc::train
