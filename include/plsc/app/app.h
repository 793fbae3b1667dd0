#pragma once
// The command line program.

namespace plsc::app {

/// Runs one command. Returns the process exit code; throws Error.
int run(int argc, char** argv);

}  // namespace plsc::app
