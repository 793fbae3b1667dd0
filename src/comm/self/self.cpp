#include "plsc/comm/self.h"

#include <algorithm>

#include "comm/checks.h"
#include "comm/end_process.h"

namespace plsc::comm {

namespace {

class Finished final : public Request {
 public:
  bool test() override { return true; }
  void wait() override {}
};

class SelfCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string description() const override { return "self: 1 rank"; }

  void barrier() override {}
  void broadcast(std::span<std::byte>, int root) override { check_root("broadcast", root, 1); }

  void all_reduce(void*, std::size_t, DType dtype, ReduceOp) override { check_reducible("all_reduce", dtype); }
  std::unique_ptr<Request> all_reduce_async(void*, std::size_t, DType dtype, ReduceOp) override {
    check_reducible("all_reduce_async", dtype);
    return std::make_unique<Finished>();
  }

  void all_gather(std::span<const std::byte> send, std::span<std::byte> receive) override {
    check_all_gather(send, receive, 1);
    std::ranges::copy(send, receive.begin());
  }
  void all_gather_v(std::span<const std::byte> send, std::span<std::byte> receive,
                    std::span<const std::size_t> byte_counts) override {
    check_all_gather_v(send, receive, byte_counts, 0, 1);
    std::ranges::copy(send, receive.begin());
  }
  void reduce_scatter(std::span<const float> send, std::span<float> receive) override {
    check_reduce_scatter(send.size(), receive.size(), 1);
    std::ranges::copy(send, receive.begin());
  }
  void all_to_all(std::span<const std::byte> send, std::span<std::byte> receive) override {
    check_all_to_all(send, receive, 1);
    std::ranges::copy(send, receive.begin());
  }
  void all_to_all_v(std::span<const std::byte> send, std::span<const std::size_t> send_counts,
                    std::span<std::byte> receive, std::span<const std::size_t> receive_counts) override {
    check_all_to_all_v(send, send_counts, receive, receive_counts, 0, 1);
    std::ranges::copy(send, receive.begin());
  }

  std::unique_ptr<Communicator> duplicate() override { return make_self_communicator(); }
  [[noreturn]] void abort(int exit_code) override { end_process(exit_code); }
};

}  // namespace

std::unique_ptr<Communicator> make_self_communicator() { return std::make_unique<SelfCommunicator>(); }

}  // namespace plsc::comm
