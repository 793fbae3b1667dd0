#pragma once
// A communicator that counts the time spent waiting in it as Phase::communication.

#include <memory>

#include "plsc/comm/communicator.h"
#include "plsc/train/phase_timer.h"

namespace plsc::train {

/// Same ranks and traffic as `inner`, which must outlive it, as must `timer`. Duplicates are timed, too.
std::unique_ptr<comm::Communicator> time_communication(comm::Communicator& inner, PhaseTimer& timer);

}  // namespace plsc::train
