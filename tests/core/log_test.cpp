#include "plsc/core/log.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <functional>
#include <sstream>

#include "support/temp_dir.h"

namespace plsc::log {

namespace {

/// What `body` writes to the file descriptor.
std::string captured(int descriptor, const std::function<void()>& body) {
  const test::TempDir dir;
  const std::string file = dir / "output";
  std::fflush(nullptr);
  const int saved = dup(descriptor);
  std::FILE* target = std::fopen(file.c_str(), "w");
  dup2(fileno(target), descriptor);
  body();
  std::fflush(nullptr);
  dup2(saved, descriptor);
  close(saved);
  std::fclose(target);
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

void write_all() {
  debug("fine detail");
  info("step 1");
  warning("slow disk");
  error("lost rank");
}

}  // namespace

TEST_CASE("rank 0 speaks from info on", "[log]") {
  configure(0, 1, Level::info);

  CHECK(captured(STDERR_FILENO, write_all) == "step 1\nslow disk\nlost rank\n");
}

TEST_CASE("with several ranks lines carry their rank, and others speak from warning on", "[log]") {
  configure(2, 4, Level::debug);
  const std::string other = captured(STDERR_FILENO, write_all);
  configure(0, 4, Level::debug);
  const std::string first = captured(STDERR_FILENO, write_all);
  configure(0, 1, Level::info);

  CHECK(other == "[rank 2] slow disk\n[rank 2] lost rank\n");
  CHECK(first == "[rank 0] fine detail\n[rank 0] step 1\n[rank 0] slow disk\n[rank 0] lost rank\n");
}

TEST_CASE("a higher level holds on every rank", "[log]") {
  configure(3, 4, Level::error);
  const std::string other = captured(STDERR_FILENO, write_all);
  configure(0, 1, Level::error);
  const std::string first = captured(STDERR_FILENO, write_all);
  configure(0, 1, Level::info);

  CHECK(other == "[rank 3] lost rank\n");
  CHECK(first == "lost rank\n");
}

TEST_CASE("braces and percent signs are written as they are", "[log]") {
  configure(0, 1, Level::info);

  CHECK(captured(STDERR_FILENO, [] { info("100% of {} in {0:x}"); }) == "100% of {} in {0:x}\n");
}

TEST_CASE("stdout is left to results", "[log]") {
  configure(0, 1, Level::info);

  CHECK(captured(STDOUT_FILENO, [] { captured(STDERR_FILENO, write_all); }).empty());
}

}  // namespace plsc::log
