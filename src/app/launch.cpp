#include "app/launch.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <optional>

#include "plsc/comm/mpi.h"
#include "plsc/comm/self.h"
#include "plsc/core/error.h"
#include "plsc/core/log.h"

namespace plsc::app {

namespace {

/// Variables that Open MPI's mpirun, PMIx launchers and PMI-2/PMI-1 (srun, hydra) give every process they start.
bool started_by_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

std::string rank_text(const comm::Communicator& communicator) {
  return communicator.size() == 1 ? "" : fmt::format("rank {} of {}", communicator.rank(), communicator.size());
}

[[noreturn]] void fail_alone(comm::Communicator& communicator, const char* text, ErrorCode code) {
  print_error(text, rank_text(communicator));
  comm::abort_job(exit_code(code));
}

int run_guarded(comm::Communicator& communicator, const std::function<int(comm::Communicator&)>& body) {
  try {
    return body(communicator);
  } catch (const CollectiveError& error) {
    if (communicator.rank() == 0) print_error(error.what(), "");
    communicator.barrier();  // nobody leaves before the message is out: the launcher kills the rest
    return exit_code(error.code());
  } catch (const Error& error) {
    fail_alone(communicator, error.what(), error.code());
  } catch (const std::bad_alloc&) {
    fail_alone(communicator, "out of memory. Use a smaller batch, a smaller network or more ranks.", ErrorCode::io);
  } catch (const std::exception& error) {
    fail_alone(communicator, error.what(), ErrorCode::internal);
  }
}

}  // namespace

void print_error(const char* text, const std::string& who) {
  fmt::print(stderr, "error{}: {}\n", who.empty() ? "" : " (" + who + ")", text);
  std::fflush(stderr);
}

int run_on_ranks(int argc, char** argv, const std::function<int(comm::Communicator&)>& body) {
  std::optional<comm::MpiEnvironment> environment;
  std::unique_ptr<comm::Communicator> communicator;
  if (started_by_launcher()) {
    environment.emplace(argc, argv);
    communicator = comm::make_mpi_communicator();
  } else {
    communicator = comm::make_self_communicator();
  }
  log::configure(communicator->rank(), communicator->size(), log::Level::info);
  return run_guarded(*communicator, body);
}

}  // namespace plsc::app
