#include "head/sharded_classifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "plsc/core/error.h"
#include "plsc/head/margin_config.h"

namespace plsc::head {

namespace {

using backend::ClassifierBatch;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Seconds since the last call of lap() or the beginning.
class Stopwatch {
 public:
  double lap() {
    const Clock::time_point now = Clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

ClassStoreOptions store_options(const ClassifierOptions& options) {
  return {options.embedding, options.seed, options.head.init_std, options.head.bias, options.momentum != 0.0F};
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

}  // namespace

TiledClassifier::TiledClassifier(const ClassifierOptions& options, backend::Backend& backend,
                                 comm::Communicator& communicator, std::unique_ptr<RowSelector> selector)
    : options_(options),
      backend_(backend),
      communicator_(communicator),
      selector_(std::move(selector)),
      store_(make_device_class_store(
          store_options(options), shard_rows(options.num_classes, communicator.rank(), communicator.size()), backend)),
      batch_(options.batch),
      real_(options.batch * communicator.size()),
      samples_(round_up(real_, backend::kSampleMultiple)),
      columns_(options.embedding),
      tile_(backend.make_classifier_tile(
          {samples_, columns_, options.head.tile, margin_spec(options.head), options.head.scale})),
      exchange_(communicator, samples_),
      kept_slots_(kept_slots(options.head.workspace_bytes, samples_, selector_->capacity(store_->shard()))) {
  const auto count = [](std::int64_t value) { return static_cast<std::size_t>(value); };
  kept_ = backend.tensor({kept_slots_, samples_});
  embeddings_ = backend.tensor({samples_, columns_});
  statistics_ = backend.tensor({backend::kStatistics, samples_});
  d_features_ = backend.tensor({samples_, columns_});
  d_embeddings_ = backend.tensor({batch_, columns_});
  batches_.push_back(tile_->make_batch());
  send_.resize(count(batch_ * columns_));
  gathered_.assign(count(samples_ * columns_), 0.0F);
  labels_.assign(count(samples_), -1);
  targets_.resize(count(samples_));
  host_statistics_.resize(count(backend::kStatistics * samples_));
  host_softmax_.resize(count(3 * samples_));
}

HeadResult TiledClassifier::forward_backward(const Tensor& embeddings, std::span<const std::int64_t> labels,
                                             RowUpdate update, const Tensor& state) {
  check_batch(embeddings, labels.size());
  if (update == RowUpdate::fused && pending_ > 0) {
    throw Error(ErrorCode::internal,
                fmt::format("a fused row update while {} deferred ones wait (they would be lost). Call commit() first.",
                            pending_));
  }
  HeadResult result;
  Stopwatch watch;
  gather(embeddings, labels);
  check_labels();
  result.times.gather = watch.lap();

  const ClassifierBatch& batch = current_batch();
  const RowSelection selection = select(batch, state);
  forward_pass(batch);
  result.times.forward = watch.lap();

  const SoftmaxTotals totals = exchange(batch);
  result.loss = totals.loss;
  result.valid = totals.valid;
  result.finite = totals.finite;
  result.correct = count_correct();
  result.d_embeddings = d_embeddings_;
  result.times.exchange = watch.lap();

  if (update == RowUpdate::deferred) keep_for_commit(totals.finite, selection);
  if (!totals.finite) {
    backend_.fill(d_embeddings_, 0.0F);
    return result;
  }
  backward_pass(batch, update == RowUpdate::fused ? row_step(state) : backend::RowStep{});
  result.times.backward = watch.lap();
  scatter(batch);
  result.times.scatter = watch.lap();
  return result;
}

void TiledClassifier::check_batch(const Tensor& embeddings, std::size_t labels) const {
  if (embeddings.shape() != Shape{batch_, columns_} || labels != static_cast<std::size_t>(batch_)) {
    throw Error(ErrorCode::internal, fmt::format("the head was made for embeddings {} and got {} with {} labels.",
                                                 Shape({batch_, columns_}).text(), embeddings.shape().text(), labels));
  }
}

void TiledClassifier::gather(const Tensor& embeddings, std::span<const std::int64_t> labels) {
  backend_.copy_to_host(embeddings, std::as_writable_bytes(std::span(send_)));
  gather_embeddings();
  const auto all_labels = std::span(labels_).first(static_cast<std::size_t>(real_));
  communicator_.all_gather(std::as_bytes(labels), std::as_writable_bytes(all_labels));
}

void TiledClassifier::gather_embeddings() {
  const auto all = std::span(gathered_).first(static_cast<std::size_t>(real_ * columns_));
  communicator_.all_gather(bytes_of(send_), std::as_writable_bytes(all));
  backend_.copy_from_host(bytes_of(gathered_), embeddings_);
}

/// On gathered labels, so that every rank stops with the same message.
void TiledClassifier::check_labels() const {
  for (std::int64_t i = 0; i < real_; ++i) {
    const std::int64_t label = labels_[static_cast<std::size_t>(i)];
    if (label >= -1 && label < options_.num_classes) continue;
    throw Error(ErrorCode::data,
                fmt::format("label {} of sample {} on rank {} is out of range (the classifier has classes 0 to {}; -1 "
                            "marks padding). Correct the list or data.num_classes.",
                            label, i % batch_, i / batch_, options_.num_classes - 1));
  }
}

ClassifierBatch& TiledClassifier::current_batch() {
  if (pending_ == batches_.size()) batches_.push_back(tile_->make_batch());
  return batches_[pending_];
}

void TiledClassifier::set_targets(const ClassifierBatch& batch, const RowSelection& selection) {
  const RowMap map(store_->shard(), selection);
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    const std::int64_t slot = map.slot(labels_[i]);
    targets_[i] = labels_[i] < 0 ? backend::kPadding : (slot < 0 ? backend::kNoTarget : slot);
  }
  backend_.copy_from_host(bytes_of(targets_), batch.targets);
}

RowSelection TiledClassifier::select(const ClassifierBatch& batch, const Tensor& state) {
  set_targets(batch, {});
  tile_->load_features(embeddings_, batch);
  backend::StepState host_state;
  backend_.copy_to_host(state, std::as_writable_bytes(std::span(&host_state, 1)));
  const RowSelection selection = selector_->select(host_state.step, batch.features, labels_, *store_);
  if (!selection.identity()) set_targets(batch, selection);
  plan_tiles(selection, tile_->tile(), runs_);
  return selection;
}

backend::ClassRows TiledClassifier::rows_of(const TileRun& run) {
  backend::ClassRows rows = store_->rows(run.first_row, run.size);
  rows.first_slot = run.first_slot;
  return rows;
}

Tensor TiledClassifier::kept_logits(const TileRun& run) const {
  if (run.first_slot + run.size > kept_slots_) return Tensor();
  return kept_.view(static_cast<std::size_t>(run.first_slot * samples_), {run.size, samples_});
}

void TiledClassifier::forward_pass(const ClassifierBatch& batch) {
  tile_->begin_forward();
  for (const TileRun& run : runs_) tile_->forward(batch, rows_of(run), kept_logits(run));
  tile_->finish_forward(batch, statistics_);
}

SoftmaxTotals TiledClassifier::exchange(const ClassifierBatch& batch) {
  backend_.copy_to_host(statistics_, std::as_writable_bytes(std::span(host_statistics_)));
  const auto sent = std::span<const float>(host_statistics_).first(static_cast<std::size_t>(3 * samples_));
  const SoftmaxTotals totals = exchange_.combine(sent, labels_, host_softmax_);
  backend_.copy_from_host(bytes_of(host_softmax_), batch.softmax);
  return totals;
}

/// Samples whose class this rank owns and whose logit without margin exceeds every other.
std::int64_t TiledClassifier::count_correct() const {
  std::int64_t correct = 0;
  for (std::int64_t i = 0; i < real_; ++i) {
    if (targets_[static_cast<std::size_t>(i)] < 0) continue;
    const float own = host_statistics_[static_cast<std::size_t>(backend::target_cosine * samples_ + i)];
    if (own > exchange_.other_max(i)) ++correct;
  }
  return correct;
}

void TiledClassifier::backward_pass(const ClassifierBatch& batch, const backend::RowStep& step) {
  tile_->begin_backward();
  for (const TileRun& run : runs_) tile_->backward(batch, rows_of(run), kept_logits(run), step);
  tile_->finish_backward(d_features_);
}

void TiledClassifier::scatter(const ClassifierBatch& batch) {
  backend_.copy_to_host(d_features_, std::as_writable_bytes(std::span(gathered_)));
  communicator_.reduce_scatter(std::span<const float>(gathered_).first(static_cast<std::size_t>(real_ * columns_)),
                               send_);
  std::fill(gathered_.begin() + real_ * columns_, gathered_.end(), 0.0F);  // padding of the next gather
  backend_.copy_from_host(bytes_of(send_), d_embeddings_);
  tile_->embedding_gradient(batch, communicator_.rank() * batch_, d_embeddings_, d_embeddings_);
}

backend::RowStep TiledClassifier::row_step(const Tensor& state) const {
  backend::RowStep step;
  step.state = &state;
  step.momentum = options_.momentum;
  step.nesterov = options_.nesterov;
  step.weight_decay = options_.weight_decay;
  return step;
}

void TiledClassifier::keep_for_commit(bool finite, const RowSelection& selection) {
  if (pending_ == 0) {
    pending_finite_ = true;
    pending_rows_.assign(selection.rows.begin(), selection.rows.end());
  } else if (!std::equal(selection.rows.begin(), selection.rows.end(), pending_rows_.begin(), pending_rows_.end())) {
    throw Error(ErrorCode::internal,
                "deferred row updates with different selected rows (one commit serves one selection). Select the same "
                "rows for all micro-batches of a step.");
  }
  pending_finite_ = pending_finite_ && finite;
  ++pending_;
}

void TiledClassifier::commit(const Tensor& state) {
  const std::span<const ClassifierBatch> waiting(batches_.data(), std::exchange(pending_, 0));
  if (!pending_finite_) return;
  for (const TileRun& run : runs_) tile_->update_rows(waiting, rows_of(run), row_step(state));
}

std::size_t TiledClassifier::peak_workspace_bytes() const {
  const ClassifierBatch& one = batches_.front();
  const std::size_t batch_bytes = one.features.bytes() + one.features_t.bytes() + one.inverse_norm.bytes() +
                                  one.targets.bytes() + one.target_slope.bytes() + one.softmax.bytes();
  const std::size_t host_floats = send_.size() + gathered_.size() + host_statistics_.size() + host_softmax_.size();
  return tile_->scratch_bytes() + batches_.size() * batch_bytes + kept_.bytes() + embeddings_.bytes() +
         statistics_.bytes() + d_features_.bytes() + d_embeddings_.bytes() + exchange_.bytes() +
         host_floats * sizeof(float) + (labels_.size() + targets_.size()) * sizeof(std::int64_t);
}

}  // namespace plsc::head
