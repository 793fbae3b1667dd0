#include "plsc/train/timed_communicator.h"

#include <exception>
#include <utility>

namespace plsc::train {

namespace {

class TimedRequest final : public comm::Request {
 public:
  TimedRequest(std::unique_ptr<comm::Request> inner, PhaseTimer& timer) : inner_(std::move(inner)), timer_(timer) {}

  bool test() override {
    const PhaseTimer::Scope scope(timer_, Phase::communication);
    return inner_->test();
  }
  void wait() override {
    const PhaseTimer::Scope scope(timer_, Phase::communication);
    inner_->wait();
  }

 private:
  std::unique_ptr<comm::Request> inner_;
  PhaseTimer& timer_;
};

class TimedCommunicator final : public comm::Communicator {
 public:
  TimedCommunicator(comm::Communicator& inner, PhaseTimer& timer) : inner_(inner), timer_(timer) {}
  TimedCommunicator(std::unique_ptr<comm::Communicator> owned, PhaseTimer& timer)
      : owned_(std::move(owned)), inner_(*owned_), timer_(timer) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::string description() const override { return inner_.description(); }

  void barrier() override {
    const PhaseTimer::Scope scope(timer_, Phase::communication);
    inner_.barrier();
  }
  void broadcast(std::span<std::byte> data, int root) override {
    const PhaseTimer::Scope scope(timer_, Phase::communication);
    inner_.broadcast(data, root);
  }
  void all_reduce(void* data, std::size_t count, DType dtype, comm::ReduceOp op) override {
    const PhaseTimer::Scope scope(timer_, Phase::communication);
    inner_.all_reduce(data, count, dtype, op);
  }
  std::unique_ptr<comm::Request> all_reduce_async(void* data, std::size_t count, DType dtype,
                                                  comm::ReduceOp op) override {
    const PhaseTimer::Scope scope(timer_, Phase::communication);
    return std::make_unique<TimedRequest>(inner_.all_reduce_async(data, count, dtype, op), timer_);
  }
  void all_gather(std::span<const std::byte> send, std::span<std::byte> receive) override {
    const PhaseTimer::Scope scope(timer_, Phase::communication);
    inner_.all_gather(send, receive);
  }
  void all_gather_v(std::span<const std::byte> send, std::span<std::byte> receive,
                    std::span<const std::size_t> byte_counts) override {
    const PhaseTimer::Scope scope(timer_, Phase::communication);
    inner_.all_gather_v(send, receive, byte_counts);
  }
  void reduce_scatter(std::span<const float> send, std::span<float> receive) override {
    const PhaseTimer::Scope scope(timer_, Phase::communication);
    inner_.reduce_scatter(send, receive);
  }
  void all_to_all(std::span<const std::byte> send, std::span<std::byte> receive) override {
    const PhaseTimer::Scope scope(timer_, Phase::communication);
    inner_.all_to_all(send, receive);
  }
  void all_to_all_v(std::span<const std::byte> send, std::span<const std::size_t> send_counts,
                    std::span<std::byte> receive, std::span<const std::size_t> receive_counts) override {
    const PhaseTimer::Scope scope(timer_, Phase::communication);
    inner_.all_to_all_v(send, send_counts, receive, receive_counts);
  }
  std::unique_ptr<comm::Communicator> duplicate() override {
    return std::make_unique<TimedCommunicator>(inner_.duplicate(), timer_);
  }
  [[noreturn]] void abort(int exit_code) override {
    inner_.abort(exit_code);
    std::terminate();  // g++ does not see that a virtual call never returns
  }

 private:
  std::unique_ptr<comm::Communicator> owned_;
  comm::Communicator& inner_;
  PhaseTimer& timer_;
};

}  // namespace

std::unique_ptr<comm::Communicator> time_communication(comm::Communicator& inner, PhaseTimer& timer) {
  return std::make_unique<TimedCommunicator>(inner, timer);
}

}  // namespace plsc::train
