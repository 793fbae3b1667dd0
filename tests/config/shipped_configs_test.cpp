#include <catch2/catch.hpp>
#include <filesystem>

#include "plsc/config/load.h"

namespace plsc::config {

TEST_CASE("every configuration in configs/ is valid", "[config]") {
  const std::filesystem::path folder = std::filesystem::path(PLSC_SOURCE_DIR) / "configs";
  int count = 0;

  if (std::filesystem::exists(folder)) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.path().extension() != ".yaml") continue;
      INFO(entry.path().string());
      const bool complete = entry.path().parent_path() == folder;  // sub-folders hold base files
      CHECK_NOTHROW(complete ? validate(load_config(entry.path().string())) : (void)load_config(entry.path().string()));
      ++count;
    }
  }

  if (count == 0) WARN("configs/ has no .yaml file yet");
}

}  // namespace plsc::config
