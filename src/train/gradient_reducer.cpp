#include "plsc/train/gradient_reducer.h"

#include <fmt/format.h>

#include "plsc/core/error.h"

namespace plsc::train {

GradientReducer::GradientReducer(nn::ParameterStore& parameters, comm::Communicator& communicator,
                                 std::int64_t bucket_bytes)
    : parameters_(&parameters), communicator_(&communicator) {
  const auto limit = static_cast<std::size_t>(bucket_bytes) / sizeof(float);
  std::size_t end = parameters.values().elements();
  const auto all = parameters.parameters();
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    const nn::Parameter& parameter = **it;
    if (!parameter.trainable) continue;
    const std::size_t begin = parameters.offset_of(parameter);
    if (buckets_.empty() || buckets_.back().end - begin > limit) buckets_.push_back({begin, end, 0, 0, nullptr});
    buckets_.back().begin = begin;
    ++buckets_.back().parameters;
    bucket_of_[&parameter] = buckets_.size() - 1;
    end = begin;
  }
}

void GradientReducer::begin(bool average_states) {
  if (communicator_->size() == 1) return;
  for (Bucket& bucket : buckets_) bucket.waiting = bucket.parameters;
  if (average_states && parameters_->states().elements() > 0) {
    const std::span<float> states = parameters_->states().host_span<float>();
    state_request_ = communicator_->all_reduce_async(states.data(), states.size(), DType::f32, comm::ReduceOp::sum);
  }
}

void GradientReducer::ready(const nn::Parameter& parameter) {
  if (communicator_->size() == 1) return;
  Bucket& bucket = buckets_[bucket_of_.at(&parameter)];
  if (--bucket.waiting == 0) {
    const std::span<float> part =
        parameters_->gradients().host_span<float>().subspan(bucket.begin, bucket.end - bucket.begin);
    bucket.request = communicator_->all_reduce_async(part.data(), part.size(), DType::f32, comm::ReduceOp::sum);
  }
  progress();
}

void GradientReducer::progress() {
  for (Bucket& bucket : buckets_) {
    if (bucket.request && bucket.request->test()) bucket.request.reset();
  }
}

void GradientReducer::finish() {
  if (communicator_->size() == 1) return;
  for (Bucket& bucket : buckets_) {
    if (bucket.waiting != 0) {
      throw Error(ErrorCode::internal,
                  fmt::format("{} parameters of a gradient bucket were never completed.", bucket.waiting));
    }
    if (bucket.request) bucket.request->wait();
    bucket.request.reset();
  }
  if (state_request_) {
    state_request_->wait();
    state_request_.reset();
    const auto share = 1.0F / static_cast<float>(communicator_->size());
    for (float& value : parameters_->states().host_span<float>()) value *= share;
  }
}

}  // namespace plsc::train
