#pragma once
// Ranks as threads of one process, for tests of distributed logic without mpirun.
//
// Sums are formed in rank order. A call happens on all ranks at the moment when the last one makes it. Ranks that call
// different operations, or the same with other sizes, get an error that names both; so do ranks that wait for one
// which has failed or returned.

#include <functional>
#include <string>

#include "plsc/comm/communicator.h"

namespace plsc::test {

/// Runs `body` once per rank, each in its own thread with its own Communicator. A rank that fails wakes the others out
/// of their collectives with Error{comm}. After all threads ended the failure is rethrown: of the lowest rank that
/// failed by itself, not because it was woken. Catch2's macros are not thread-safe: use expect() in `body`.
void run_thread_ranks(int size, const std::function<void(comm::Communicator&)>& body);

/// Throws std::runtime_error with this text unless `condition`.
void expect(bool condition, const std::string& text);

}  // namespace plsc::test
