// The program under a real launcher: the hidden test cases below are started by mpirun from the visible ones.

#include <sys/wait.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "plsc/comm/mpi.h"
#include "plsc/comm/self.h"
#include "plsc/core/error.h"

namespace plsc::comm {

namespace {

struct Outcome {
  int exit_code = -1;  ///< 124: still running after two minutes
  std::string output;  ///< stdout and stderr
};

Outcome run(const std::string& command) {
  Outcome outcome;
  // MPI libraries keep memory to the end on purpose: leaks are no failure of these programs in sanitizer builds.
  FILE* pipe = popen(("LSAN_OPTIONS=exitcode=0 timeout 120 " + command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> buffer{};
  while (const std::size_t bytes = fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), bytes);
  }
  const int status = pclose(pipe);
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  return outcome;
}

std::string this_program(const std::string& helper) {
  return std::filesystem::read_symlink("/proc/self/exe").string() + " '" + helper + "'";
}

Outcome run_ranks(int ranks, const std::string& helper) {
  return run("mpirun --oversubscribe --allow-run-as-root -n " + std::to_string(ranks) + " " + this_program(helper));
}

bool has_mpirun() {
  const bool found = run("mpirun --version").exit_code == 0;
  if (!found) WARN("mpirun is not installed: tests under a launcher are left out");
  return found;
}

}  // namespace

TEST_CASE("helper: rank 1 aborts while the others wait for it", "[.]") {
  int argc = 0;
  char** argv = nullptr;
  const MpiEnvironment environment(argc, argv);
  const auto comm = make_mpi_communicator();
  if (comm->rank() == 1) {
    std::fprintf(stderr, "rank 1: image list a.txt is empty\n");
    comm->abort(4);
  }
  comm->barrier();
}

TEST_CASE("helper: rank 1 leaves by an exception with a sum in flight", "[.]") {
  int argc = 0;
  char** argv = nullptr;
  try {
    const MpiEnvironment environment(argc, argv);
    const auto comm = make_mpi_communicator();
    std::vector<float> values(1'000'000, 1.0F);
    std::unique_ptr<Request> request;
    if (comm->rank() == 1) {
      request = comm->all_reduce_async(values.data(), values.size(), DType::f32, ReduceOp::sum);
      throw Error(ErrorCode::data, "step 7 has no samples (empty shard). Use fewer ranks.");
    }
    comm->barrier();
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    abort_job(exit_code(error.code()));
  }
}

TEST_CASE("helper: one rank without a launcher", "[.]") {
  int argc = 0;
  char** argv = nullptr;
  const MpiEnvironment environment(argc, argv);
  const auto comm = make_mpi_communicator();
  std::printf("%s, sum %d\n", comm->description().c_str(), comm->all_reduce_value(41, ReduceOp::sum) + comm->size());
}

TEST_CASE("helper: one rank ends by itself", "[.]") {
  std::printf("a last line");
  make_self_communicator()->abort(6);
}

TEST_CASE("a rank that aborts ends the job with its code, its own message first", "[comm]") {
  if (!has_mpirun()) return;

  const Outcome outcome = run_ranks(2, "helper: rank 1 aborts while the others wait for it");

  INFO(outcome.output);
  CHECK(outcome.exit_code == 4);
  const std::size_t own = outcome.output.find("rank 1: image list a.txt is empty");
  const std::size_t launcher = outcome.output.find("MPI_ABORT was invoked");
  CHECK(own != std::string::npos);
  CHECK(own < launcher);
}

TEST_CASE("an exception that leaves the MPI environment does not wait for peers", "[comm]") {
  if (!has_mpirun()) return;

  const Outcome outcome = run_ranks(2, "helper: rank 1 leaves by an exception with a sum in flight");

  INFO(outcome.output);
  CHECK(outcome.exit_code == 4);
  CHECK_THAT(outcome.output, Catch::Contains("step 7 has no samples (empty shard). Use fewer ranks."));
}

TEST_CASE("without a launcher MPI is a world of one rank", "[comm]") {
  const Outcome outcome = run(this_program("helper: one rank without a launcher"));

  INFO(outcome.output);
  CHECK(outcome.exit_code == 0);
  CHECK_THAT(outcome.output, Catch::Contains("1 rank on 1 host, sum 42"));
}

TEST_CASE("without MPI an abort ends this process, what it wrote included", "[comm]") {
  const Outcome outcome = run(this_program("helper: one rank ends by itself"));

  CHECK(outcome.exit_code == 6);
  CHECK_THAT(outcome.output, Catch::Contains("a last line"));
}

TEST_CASE("MPI ranks need an MPI environment", "[comm]") {
  CHECK_THROWS_WITH(make_mpi_communicator(),
                    Catch::Contains("MPI is not running") && Catch::Contains("MpiEnvironment"));
}

}  // namespace plsc::comm
