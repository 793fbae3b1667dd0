#pragma once
// A world of one rank, without MPI.

#include <memory>

#include "plsc/comm/communicator.h"

namespace plsc::comm {

std::unique_ptr<Communicator> make_self_communicator();

}  // namespace plsc::comm
