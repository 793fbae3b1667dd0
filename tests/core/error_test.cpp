#include "plsc/core/error.h"

#include <catch2/catch.hpp>
#include <set>

namespace plsc {

TEST_CASE("an error prints its message and then its context, innermost first", "[error]") {
  Error error(ErrorCode::data, "label 12 is out of range (10 classes). Correct the list.");

  error.add_context("file a.txt, line 3").add_context("rank 2, step 40");

  CHECK(error.code() == ErrorCode::data);
  CHECK(error.message() == "label 12 is out of range (10 classes). Correct the list.");
  CHECK(error.context() == std::vector<std::string>{"file a.txt, line 3", "rank 2, step 40"});
  CHECK(std::string(error.what()) ==
        "label 12 is out of range (10 classes). Correct the list.\n  file a.txt, line 3\n  rank 2, step 40");
}

TEST_CASE("with_context adds a line to an error that passes", "[error]") {
  const auto fail = [] {
    with_context(
        [] { return std::string("outer"); },
        [] { with_context([] { return std::string("inner"); }, [] { throw Error(ErrorCode::io, "disk is full."); }); });
  };

  CHECK_THROWS_WITH(fail(), "disk is full.\n  inner\n  outer");
}

TEST_CASE("with_context hands results through and describes nothing without need", "[error]") {
  int described = 0;
  int value = 5;
  const auto describe = [&] {
    ++described;
    return std::string("unused");
  };

  int& same = with_context(describe, [&]() -> int& { return value; });

  CHECK(&same == &value);
  CHECK(described == 0);
}

TEST_CASE("with_context lets other exceptions pass", "[error]") {
  const auto fail = [] { with_context([] { return std::string("line"); }, [] { throw std::bad_alloc(); }); };

  CHECK_THROWS_AS(fail(), std::bad_alloc);
}

TEST_CASE("exit codes are the documented ones and differ", "[error]") {
  const std::set<int> codes = {
      exit_code(ErrorCode::internal), exit_code(ErrorCode::usage),   exit_code(ErrorCode::config),
      exit_code(ErrorCode::data),     exit_code(ErrorCode::io),      exit_code(ErrorCode::checkpoint),
      exit_code(ErrorCode::comm),     exit_code(ErrorCode::numeric), exit_code(ErrorCode::unavailable)};

  CHECK(codes == std::set<int>{1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(exit_code(ErrorCode::internal) == 1);
  CHECK(exit_code(ErrorCode::data) == 4);
  CHECK(exit_code(ErrorCode::unavailable) == 9);
  CHECK(codes.count(kExitStopped) == 0);
}

}  // namespace plsc
