#pragma once
// GradientReducer: sums the backbone's gradients over ranks in buckets while backward still runs. Loss is divided once
// by the global batch inside the head (contract C1), so gradients are summed, never averaged.

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "plsc/comm/communicator.h"
#include "plsc/nn/parameter.h"

namespace plsc::train {

class GradientReducer {
 public:
  /// Buckets are contiguous parts of the flat gradient of at most `bucket_bytes` (one parameter at least), filled from
  /// the end: backward completes parameters in reverse order. Host memory. References must outlive this.
  GradientReducer(nn::ParameterStore& parameters, comm::Communicator& communicator, std::int64_t bucket_bytes);

  /// Starts averaging the running statistics (contract C12); call between forward and backward.
  void begin(bool average_states);
  /// A parameter's gradient is complete: sends its bucket when that is full, and lets the transport progress.
  void ready(const nn::Parameter& parameter);
  /// Waits for everything. Afterwards gradients and states are equal on all ranks.
  void finish();

  std::size_t bucket_count() const { return buckets_.size(); }

 private:
  struct Bucket {
    std::size_t begin = 0;
    std::size_t end = 0;
    int parameters = 0;
    int waiting = 0;
    std::unique_ptr<comm::Request> request;
  };

  void progress();

  nn::ParameterStore* parameters_;
  comm::Communicator* communicator_;
  std::vector<Bucket> buckets_;
  std::unordered_map<const nn::Parameter*, std::size_t> bucket_of_;
  std::unique_ptr<comm::Request> state_request_;
};

}  // namespace plsc::train
