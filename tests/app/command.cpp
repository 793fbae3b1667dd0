#include "app/command.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "support/temp_dir.h"

namespace plsc::test {

namespace {

std::string read_text(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

CommandOutcome run_shell(const std::string& command) {
  const TempDir folder;
  // mpirun's own limits on root and on ranks per core have nothing to do with what is tested.
  const std::string environment =
      "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 "
      "OMPI_MCA_btl_vader_single_copy_mechanism=none OMP_WAIT_POLICY=passive";
  const std::string line =
      fmt::format("{}; export PLSC_TRAIN='{}' MPIRUN='{}'; {{ {} ; }} >'{}' 2>'{}' </dev/null", environment,
                  PLSC_TRAIN_PROGRAM, PLSC_MPIRUN, command, (folder / "out").string(), (folder / "err").string());
  const int status = std::system(line.c_str());
  CommandOutcome outcome;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.output = read_text(folder / "out");
  outcome.errors = read_text(folder / "err");
  return outcome;
}

CommandOutcome run_program(const std::string& arguments) { return run_shell("\"$PLSC_TRAIN\" " + arguments); }

CommandOutcome run_ranks(int ranks, const std::string& arguments) {
  return run_shell(fmt::format("\"$MPIRUN\" -n {} \"$PLSC_TRAIN\" {}", ranks, arguments));
}

}  // namespace plsc::test
