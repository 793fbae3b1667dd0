#include "plsc/comm/mpi.h"

#include <fmt/format.h>
#include <mpi.h>

#include <exception>

#include "comm/end_process.h"
#include "comm/mpi/mpi_communicator.h"
#include "plsc/core/error.h"

namespace plsc::comm {

namespace {

bool mpi_is_running() {
  int initialized = 0;
  int finalized = 0;
  return MPI_Initialized(&initialized) == MPI_SUCCESS && MPI_Finalized(&finalized) == MPI_SUCCESS && initialized &&
         !finalized;
}

std::string error_text(int code) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) return fmt::format("error {}", code);
  return std::string(text, static_cast<std::size_t>(length));
}

}  // namespace

void check_mpi(int code, const char* call, int rank) {
  if (code == MPI_SUCCESS) return;
  throw Error(ErrorCode::comm, fmt::format("{} failed on rank {} ({}). See what the other ranks report: one may have "
                                           "ended, or run another step.",
                                           call, rank, error_text(code)));
}

void check_thread_level(int provided) {
  if (provided >= MPI_THREAD_FUNNELED) return;
  throw Error(ErrorCode::unavailable,
              fmt::format("MPI runs without thread support (level {}, MPI_THREAD_FUNNELED is {}). Use an MPI library "
                          "built with threads.",
                          provided, MPI_THREAD_FUNNELED));
}

MpiEnvironment::MpiEnvironment(int& argc, char**& argv) : exceptions_at_start_(std::uncaught_exceptions()) {
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (initialized) {
    throw Error(ErrorCode::internal,
                "MPI is already initialised (it can be only once per process). Make one "
                "MpiEnvironment, in main.");
  }
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread", 0);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  check_thread_level(provided);
}

MpiEnvironment::~MpiEnvironment() {
  if (std::uncaught_exceptions() == exceptions_at_start_ && mpi_is_running()) MPI_Finalize();
}

void abort_job(int exit_code) {
  if (mpi_is_running()) {
    drain_output();
    MPI_Abort(MPI_COMM_WORLD, exit_code);
  }
  end_process(exit_code);
}

std::unique_ptr<Communicator> make_mpi_communicator() {
  if (!mpi_is_running()) {
    throw Error(ErrorCode::internal, "MPI is not running (there is no MpiEnvironment). Make one in main first.");
  }
  return make_mpi_communicator(kMaxMpiCount);
}

}  // namespace plsc::comm
