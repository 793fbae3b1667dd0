#include "plsc/app/app.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "plsc/core/error.h"

namespace plsc::app {

namespace {

constexpr const char* kDescription =
    "Trains embedding networks with row-sharded classifiers of 10^4 to 10^8 classes.\n"
    "  plsc-train --config FILE.yaml [--set key=value ...] [--resume]     one rank\n"
    "  mpirun -n 4 plsc-train --config FILE.yaml                          four ranks";

}  // namespace

int run(int argc, char** argv) {
  CLI::App app(kDescription, "plsc-train");
  app.set_version_flag("--version", version_text);
  app.require_subcommand(0, 1);
  Command chosen;
  const Command bare = add_train(app);
  const auto add = [&](CLI::App& parent, const char* name, const char* help, Command (*make)(CLI::App&)) {
    CLI::App* command = parent.add_subcommand(name, help);
    command->callback([&chosen, body = make(*command)] { chosen = body; });
  };
  add(app, "train", "Train (also without this word)", add_train);
  add(app, "evaluate", "Evaluate a checkpoint: verification pairs, closed-set lists", add_evaluate);
  CLI::App* data = app.add_subcommand("data", "Make data sets");
  data->require_subcommand(1);
  add(*data, "render", "Render the glyphs of font files to a labelled image set", add_data_render);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorCode::usage, fmt::format("{} Use --help for all options.", error.what()));
  }
  return (chosen ? chosen : bare)({argc, argv});
}

}  // namespace plsc::app
