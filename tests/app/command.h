#pragma once
// Runs the real program, as a user does.

#include <string>

namespace plsc::test {

struct CommandOutcome {
  int exit_code = 0;  ///< 128 + n when signal n ended it
  std::string output;
  std::string errors;
};

/// `plsc-train ARGUMENTS` through the shell, without a launcher.
CommandOutcome run_program(const std::string& arguments);
/// The same under mpirun.
CommandOutcome run_ranks(int ranks, const std::string& arguments);
/// Any shell command; PLSC_TRAIN and MPIRUN are set in its environment.
CommandOutcome run_shell(const std::string& command);

}  // namespace plsc::test
