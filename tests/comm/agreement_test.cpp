#include "plsc/comm/agreement.h"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "plsc/comm/self.h"
#include "plsc/core/error.h"
#include "support/thread_ranks.h"

namespace plsc::comm {

namespace {

/// What run_agreed throws on this rank; fails the rank when it throws nothing.
CollectiveError agreed_error(Communicator& communicator, const std::function<void()>& body) {
  try {
    run_agreed(communicator, body);
  } catch (const CollectiveError& error) {
    return error;
  }
  throw std::runtime_error("run_agreed threw nothing");
}

}  // namespace

TEST_CASE("all ranks go on when the body succeeds everywhere", "[agreement]") {
  for (const int ranks : {1, 2, 4}) {
    test::run_thread_ranks(ranks, [](Communicator& communicator) {
      int done = 0;

      run_agreed(communicator, [&] { ++done; });

      test::expect(done == 1, "the body runs once");
    });
  }
  SUCCEED();
}

TEST_CASE("the failure of one rank reaches all with code, message, context and rank", "[agreement]") {
  test::run_thread_ranks(3, [](Communicator& communicator) {
    const CollectiveError error = agreed_error(communicator, [&] {
      if (communicator.rank() == 0) return;
      Error failure(ErrorCode::data, "bad line on rank " + std::to_string(communicator.rank()));
      failure.add_context("file a.txt, line 3");
      throw failure;
    });

    test::expect(error.code() == ErrorCode::data, "code");
    test::expect(error.message() == "bad line on rank 1", "the lowest failing rank speaks");
    test::expect(error.context().size() == 2, "context lines");
    test::expect(error.context()[0] == "file a.txt, line 3", "context of the failure");
    test::expect(error.context()[1] == "rank 1 of 3", "its rank");
  });
  SUCCEED();
}

TEST_CASE("an exception of another kind counts as internal, and one rank needs no rank line", "[agreement]") {
  const auto communicator = make_self_communicator();

  const CollectiveError error = agreed_error(*communicator, [] { throw std::runtime_error("odd"); });

  CHECK(error.code() == ErrorCode::internal);
  CHECK(error.message() == "odd");
  CHECK(error.context().empty());
}

}  // namespace plsc::comm
