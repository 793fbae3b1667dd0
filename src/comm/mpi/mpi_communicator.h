#pragma once
// Parts of the MPI transport that tests reach: no MPI types here.

#include <cstddef>
#include <memory>

#include "plsc/comm/communicator.h"

namespace plsc::comm {

/// MPI counts are int. Longer transfers are cut into calls of at most this many elements (bytes where bytes travel).
inline constexpr std::size_t kMaxMpiCount = std::size_t{1} << 30;

/// make_mpi_communicator() with another cutting length, 1 <= max_count <= kMaxMpiCount; equal on all ranks.
std::unique_ptr<Communicator> make_mpi_communicator(std::size_t max_count);

/// Throws Error{comm} with MPI's own text unless `code` is MPI_SUCCESS. `call` names the MPI function.
void check_mpi(int code, const char* call, int rank);

/// Throws Error{unavailable} when MPI refuses processes that have other threads (`provided` as MPI_Init_thread says).
void check_thread_level(int provided);

}  // namespace plsc::comm
