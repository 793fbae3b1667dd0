#include "plsc/comm/self.h"

#include <catch2/catch.hpp>

#include "comm/suite.h"

namespace plsc::test {

TEST_CASE("one rank alone does every operation", "[comm]") {
  const auto comm = comm::make_self_communicator();
  for (const CommCheck& check : comm_checks()) {
    INFO(check.name);
    REQUIRE_NOTHROW(check.run(*comm));
  }
}

TEST_CASE("one rank alone is rank 0 of 1", "[comm]") {
  const auto comm = comm::make_self_communicator();

  comm->barrier();

  REQUIRE(comm->rank() == 0);
  REQUIRE(comm->size() == 1);
  REQUIRE(comm->description() == "self: 1 rank");
}

}  // namespace plsc::test
