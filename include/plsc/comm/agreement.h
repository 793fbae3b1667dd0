#pragma once
// Local work whose failure all ranks must learn of before anyone goes on.

#include <functional>

#include "plsc/comm/communicator.h"

namespace plsc::comm {

/// Runs `body` on every rank, then exchanges the outcome (collective). If any rank threw an Error, every rank throws
/// the same CollectiveError: that of the lowest failing rank, with the context line "rank R of W".
/// `body` must not communicate: a rank that fails would leave the others waiting.
void run_agreed(Communicator& communicator, const std::function<void()>& body);

}  // namespace plsc::comm
