#include <catch2/catch.hpp>
#include <cstdio>

#include "../src/comm/mpi/mpi_communicator.h"
#include "comm/suite.h"
#include "plsc/comm/mpi.h"
#include "plsc/comm/placement.h"

namespace plsc::test {

namespace {

/// Runs a check on all ranks. One that fails alone would leave the others waiting, so it ends the whole job.
void run_on(Communicator& comm, const CommCheck& check) {
  try {
    check.run(comm);
    SUCCEED(check.name);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d of %d, %s: %s\n", comm.rank(), comm.size(), check.name, error.what());
    comm.abort(1);
  }
}

}  // namespace

TEST_CASE("MPI ranks do every operation", "[comm]") {
  const auto comm = comm::make_mpi_communicator();
  for (const CommCheck& check : comm_checks()) run_on(*comm, check);
}

TEST_CASE("transfers beyond MPI's int counts are cut into pieces", "[comm]") {
  const auto comm = comm::make_mpi_communicator(20'000);
  for (const CommCheck& check : comm_checks()) run_on(*comm, check);
}

TEST_CASE("MPI ranks see their rank, size and library", "[comm]") {
  const auto comm = comm::make_mpi_communicator();

  const std::vector<int> ranks = comm->all_gather_values(comm->rank());

  for (int rank = 0; rank < comm->size(); ++rank) CHECK(ranks[static_cast<std::size_t>(rank)] == rank);
  CHECK_THAT(comm->description(), Catch::StartsWith("mpi: ") &&
                                      Catch::Contains(std::to_string(comm->size()) + " rank") &&
                                      Catch::EndsWith("on 1 host"));
}

TEST_CASE("MPI is initialised once", "[comm]") {
  int argc = 0;
  char** argv = nullptr;

  CHECK_THROWS_WITH(comm::MpiEnvironment(argc, argv), Catch::Contains("already initialised"));
}

TEST_CASE("an MPI error names call, rank and MPI's reason", "[comm]") {
  constexpr int kSomeErrorClass = 2;

  CHECK_NOTHROW(comm::check_mpi(0, "MPI_Barrier", 3));
  CHECK_THROWS_WITH(comm::check_mpi(kSomeErrorClass, "MPI_Bcast", 3),
                    Catch::Contains("MPI_Bcast failed on rank 3") && Catch::Contains("MPI_ERR_"));
  CHECK_THROWS_AS(comm::check_mpi(kSomeErrorClass, "MPI_Bcast", 3), Error);
}

TEST_CASE("a broadcast of unequal sizes is an error, not a crash", "[comm]") {
  const auto comm = comm::make_mpi_communicator();
  if (comm->size() != 2) return;  // with more, a rank that refuses its part passes nothing on
  std::vector<std::byte> data(comm->rank() == 0 ? 64 : 32);
  std::string message = "no error";

  try {
    comm->broadcast(data, 0);
  } catch (const Error& error) {
    message = error.message();
    CHECK(error.code() == ErrorCode::comm);
  }

  if (comm->rank() == 0) CHECK(message == "no error");
  if (comm->rank() != 0)
    CHECK_THAT(message, Catch::Contains("MPI_Bcast failed") && Catch::Contains("MPI_ERR_TRUNCATE"));
}

TEST_CASE("MPI without threads is refused", "[comm]") {
  CHECK_THROWS_WITH(comm::check_thread_level(-1), Catch::Contains("without thread support"));
}

TEST_CASE("ranks of one host get distinct places and equal teams", "[comm]") {
  const auto comm = comm::make_mpi_communicator();

  const comm::Placement place = comm::detect_placement(*comm, 0, true);
  const std::vector<int> places = comm->all_gather_values(place.local_rank);
  const std::vector<int> threads = comm->all_gather_values(place.threads);

  CHECK(place.hosts == 1);
  CHECK(place.local_size == comm->size());
  CHECK(place.threads >= 1);
  CHECK_FALSE(place.cpus.empty());
  for (int rank = 0; rank < comm->size(); ++rank) {
    CHECK(places[static_cast<std::size_t>(rank)] == rank);
    CHECK(threads[static_cast<std::size_t>(rank)] == place.threads);
  }
}

}  // namespace plsc::test
