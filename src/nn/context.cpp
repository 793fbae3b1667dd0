#include "plsc/nn/context.h"

#include "plsc/core/error.h"

namespace plsc::nn {

void ForwardContext::begin(Mode mode, std::int64_t valid, std::int64_t global_valid) {
  mode_ = mode;
  valid_ = valid;
  global_valid_ = global_valid;
  saved_.clear();
}

Tensor ForwardContext::take() {
  if (saved_.empty()) throw Error(ErrorCode::internal, "backward without a matching forward in this context.");
  Tensor tensor = std::move(saved_.back());
  saved_.pop_back();
  return tensor;
}

}  // namespace plsc::nn
