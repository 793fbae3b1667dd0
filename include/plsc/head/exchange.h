#pragma once
// The end of the softmax over all ranks: one all-gather of 3N floats a rank, combined in rank order on every rank, so
// that loss and gradients agree to the last bit.

#include <cstdint>
#include <span>
#include <vector>

#include "plsc/comm/communicator.h"

namespace plsc::head {

struct SoftmaxTotals {
  double loss = 0;  ///< mean over the valid samples; 0 without any
  std::int64_t valid = 0;
  bool finite = true;  ///< of the loss
};

class SoftmaxExchange {
 public:
  SoftmaxExchange(comm::Communicator& communicator, std::int64_t samples);

  /// statistics: this rank's [3, N] (largest other logit, sum of exp relative to it, target logit with margin or
  /// -infinity). labels [N], -1 not counted. Fills softmax [3, N] as backend::ClassifierBatch has it. Collective.
  SoftmaxTotals combine(std::span<const float> statistics, std::span<const std::int64_t> labels,
                        std::span<float> softmax);

  /// Largest logit of sample i over all ranks and classes but its own; after combine().
  float other_max(std::int64_t i) const { return other_max_[static_cast<std::size_t>(i)]; }

  std::size_t bytes() const { return (all_.size() + other_max_.size()) * sizeof(float); }

 private:
  struct Sample {
    double loss;
    double log_sum_exp;
    double miss;  ///< 1 - p_target
  };
  Sample combine_sample(std::size_t i);

  comm::Communicator& communicator_;
  std::size_t samples_;
  std::vector<float> all_;        ///< [world, 3, N]
  std::vector<float> other_max_;  ///< [N]
};

}  // namespace plsc::head
