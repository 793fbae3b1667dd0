#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include "plsc/comm/mpi.h"

int main(int argc, char** argv) {
  plsc::comm::MpiEnvironment environment(argc, argv);
  return Catch::Session().run(argc, argv);
}
