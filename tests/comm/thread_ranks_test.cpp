#include "support/thread_ranks.h"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <stdexcept>

#include "comm/suite.h"

namespace plsc::test {

namespace {

/// Message of the error that leaves run_thread_ranks; the code must be `code`.
std::string failure_of(int size, ErrorCode code, const std::function<void(Communicator&)>& body) {
  try {
    run_thread_ranks(size, body);
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.message();
  }
  return "no error";
}

}  // namespace

TEST_CASE("thread ranks do every operation", "[comm]") {
  const int size = GENERATE(1, 2, 3, 4);
  for (const CommCheck& check : comm_checks()) {
    INFO(check.name << " with " << size << " ranks");
    REQUIRE_NOTHROW(run_thread_ranks(size, check.run));
  }
}

TEST_CASE("thread ranks see their rank, size and description", "[comm]") {
  std::array<std::atomic<int>, 3> seen{};

  run_thread_ranks(3, [&](Communicator& comm) {
    ++seen[static_cast<std::size_t>(comm.rank())];
    expect(comm.size() == 3 && comm.description() == "threads: 3 ranks", "size and description");
  });

  for (const auto& count : seen) REQUIRE(count == 1);
}

TEST_CASE("thread ranks add in rank order", "[comm]") {
  std::array<float, 3> sums{};

  run_thread_ranks(3, [&](Communicator& comm) {
    const std::array<float, 3> parts = {1e8F, 1.0F, -1e8F};
    const auto rank = static_cast<std::size_t>(comm.rank());
    sums[rank] = comm.all_reduce_value(parts[rank], ReduceOp::sum);
  });

  REQUIRE(sums[0] == (1e8F + 1.0F) + -1e8F);
  REQUIRE(sums[1] == sums[0]);
  REQUIRE(sums[2] == sums[0]);
}

TEST_CASE("an asynchronous sum is finished when the last rank has posted it", "[comm]") {
  std::atomic<bool> early{false};

  run_thread_ranks(2, [&](Communicator& comm) {
    const auto copy = comm.duplicate();
    std::int32_t value = comm.rank() + 1;
    std::unique_ptr<comm::Request> request;
    if (comm.rank() == 0) {
      request = copy->all_reduce_async(&value, 1, DType::i32, ReduceOp::sum);
      early = request->test();
    }
    comm.barrier();
    if (comm.rank() == 1) request = copy->all_reduce_async(&value, 1, DType::i32, ReduceOp::sum);
    comm.barrier();
    expect(request->test() && value == 3, "sum after both posted");
  });

  REQUIRE_FALSE(early);
}

TEST_CASE("a thread rank that throws wakes the others, and its own error is reported", "[comm]") {
  std::atomic<int> woken{0};

  const std::string message = failure_of(4, ErrorCode::data, [&](Communicator& comm) {
    comm.barrier();
    if (comm.rank() == 2) throw Error(ErrorCode::data, "image 7 is broken (truncated). Replace it.");
    try {
      comm.all_reduce_value(1.0F, ReduceOp::sum);
    } catch (const Error& error) {
      woken += error.code() == ErrorCode::comm && error.message().find("rank 2 failed") != std::string::npos;
      throw;
    }
  });

  REQUIRE(message == "image 7 is broken (truncated). Replace it.");
  REQUIRE(woken == 3);
}

TEST_CASE("of several thread ranks that fail by themselves the lowest is reported", "[comm]") {
  const std::string message = failure_of(3, ErrorCode::config, [&](Communicator& comm) {
    comm.barrier();
    if (comm.rank() > 0) throw Error(ErrorCode::config, "from rank " + std::to_string(comm.rank()));
    comm.barrier();
  });

  REQUIRE(message == "from rank 1");
}

TEST_CASE("a thread rank that unwinds with a sum in flight does not wait for its peers", "[comm]") {
  const auto body = [](Communicator& comm) {
    std::vector<float> values(100, 1.0F);
    const auto copy = comm.duplicate();
    std::unique_ptr<comm::Request> request;
    if (comm.rank() == 0) {
      request = copy->all_reduce_async(values.data(), values.size(), DType::f32, ReduceOp::sum);
      throw std::runtime_error("backward failed");
    }
    comm.barrier();
  };

  REQUIRE_THROWS_WITH(run_thread_ranks(2, body), "backward failed");
}

TEST_CASE("thread ranks that call different operations are told so", "[comm]") {
  const std::string operations = failure_of(2, ErrorCode::internal, [](Communicator& comm) {
    if (comm.rank() == 0) comm.barrier();
    if (comm.rank() == 1) comm.all_reduce_value(1.0F, ReduceOp::sum);
  });
  const std::string lengths = failure_of(2, ErrorCode::internal, [](Communicator& comm) {
    std::vector<float> values(static_cast<std::size_t>(comm.rank()) + 3);
    comm.all_reduce(std::span(values), ReduceOp::max);
  });
  const std::string counts = failure_of(2, ErrorCode::internal, [](Communicator& comm) {
    const std::vector<std::size_t> send(2, 4);
    std::vector<std::size_t> receive(2, 4);
    receive[static_cast<std::size_t>(1 - comm.rank())] = 5;
    std::vector<std::byte> buffer(8);
    std::vector<std::byte> received(9);
    comm.all_to_all_v(buffer, send, received, receive);
  });

  REQUIRE_THAT(operations,
               Catch::Contains("barrier") && Catch::Contains("all_reduce") && Catch::Contains("same order"));
  REQUIRE_THAT(lengths, Catch::Contains("of 3 f32") && Catch::Contains("of 4 f32"));
  REQUIRE_THAT(counts, Catch::Contains("sends 4 bytes") && Catch::Contains("expects 5"));
}

TEST_CASE("thread ranks do not wait for one that has returned", "[comm]") {
  const std::string message = failure_of(2, ErrorCode::comm, [](Communicator& comm) {
    if (comm.rank() == 0) comm.barrier();
  });

  REQUIRE_THAT(message, Catch::Contains("barrier") && Catch::Contains("rank 1 has ended"));
}

TEST_CASE("abort ends a world of thread ranks with an error", "[comm]") {
  const std::string message = failure_of(2, ErrorCode::comm, [](Communicator& comm) {
    if (comm.rank() == 1) comm.abort(4);
    comm.barrier();
  });

  REQUIRE_THAT(message, Catch::Contains("rank 1 aborted") && Catch::Contains("exit code 4"));
}

TEST_CASE("a world needs a rank", "[comm]") {
  REQUIRE_THROWS_WITH(run_thread_ranks(0, [](Communicator&) {}), Catch::Contains("at least 1"));
}

}  // namespace plsc::test
