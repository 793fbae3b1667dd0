#pragma once
// The sub-commands: each adds its options to the command line and returns what to run once they are parsed.

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace plsc::app {

struct CommandLine {
  int argc;
  char** argv;
};

using Command = std::function<int(const CommandLine&)>;

/// Options of training; `app` is the program itself or its sub-command `train`.
Command add_train(CLI::App& app);
Command add_evaluate(CLI::App& app);
Command add_data_render(CLI::App& app);

/// Name, version, and what this build and machine offer.
std::string version_text();

}  // namespace plsc::app
