#pragma once
// Stop requests: signals only set a flag; the ranks agree on the step after which all of them stop (contract C9).

#include <cstdint>
#include <memory>

#include "plsc/comm/communicator.h"

namespace plsc::train {

/// Catches SIGINT, SIGTERM and SIGUSR1 while it lives and puts the former handlers back. One at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  static bool requested();
};

/// One small all-reduce in flight behind each step. A request seen by any rank before step s ends makes
/// every rank stop after step s + 1.
class StopAgreement {
 public:
  explicit StopAgreement(comm::Communicator& communicator) : communicator_(&communicator) {}

  /// Call once at the end of every step; true: stop now, on all ranks alike.
  bool agree(bool requested);

 private:
  comm::Communicator* communicator_;
  std::int32_t flag_ = 0;
  std::unique_ptr<comm::Request> request_;
};

}  // namespace plsc::train
