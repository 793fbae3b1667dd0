#include "support/thread_ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <utility>

#include "../../src/comm/checks.h"
#include "plsc/core/error.h"

namespace plsc::test {

namespace {

using comm::Bytes;
using comm::Counts;
using comm::ReduceOp;
using comm::Request;

struct Channel;

/// What one rank brings to an operation.
struct Part {
  const std::byte* send = nullptr;
  std::byte* receive = nullptr;
  Counts send_counts;     ///< bytes for each rank
  Counts receive_counts;  ///< bytes from each rank
};

/// One collective call; complete once the last rank has posted its part.
struct Operation {
  std::string signature;
  std::vector<Part> parts;
  std::vector<bool> posted;
  int posts = 0;
  bool done = false;
  std::shared_ptr<Channel> made;  ///< by duplicate()
};

/// The operations of one communicator that some rank still has to join, by sequence number.
struct Channel {
  std::map<std::uint64_t, std::shared_ptr<Operation>> pending;
};

/// What the ranks share. Everything in it, in channels and in operations is guarded by `mutex`.
struct World {
  explicit World(int ranks)
      : size(ranks), ended(static_cast<std::size_t>(ranks)), woken(static_cast<std::size_t>(ranks)) {}

  const int size;
  std::mutex mutex;
  std::condition_variable changed;
  int failed_rank = -1;
  std::vector<bool> ended;  ///< body returned
  std::vector<bool> woken;  ///< got an error because of another rank

  void fail(int rank) {
    const std::lock_guard lock(mutex);
    fail_locked(rank);
  }
  void fail_locked(int rank) {
    if (failed_rank < 0) failed_rank = rank;
    changed.notify_all();
  }
  void end(int rank) {
    const std::lock_guard lock(mutex);
    ended[static_cast<std::size_t>(rank)] = true;
    changed.notify_all();
  }
  /// A rank that returned without joining `operation`, or -1.
  int deserter(const Operation& operation) const {
    for (std::size_t rank = 0; rank < ended.size(); ++rank) {
      if (ended[rank] && !operation.posted[rank]) return static_cast<int>(rank);
    }
    return -1;
  }
  [[noreturn]] void wake(int rank, const std::string& signature, const std::string& why) {
    woken[static_cast<std::size_t>(rank)] = true;
    throw Error(ErrorCode::comm, fmt::format("rank {} cannot finish {} ({}).", rank, signature, why));
  }
};

template <class T>
void reduce(std::vector<Part>& parts, std::size_t count, ReduceOp op) {
  std::vector<T> result(count);
  std::memcpy(result.data(), parts[0].send, count * sizeof(T));
  for (std::size_t rank = 1; rank < parts.size(); ++rank) {
    const T* values = reinterpret_cast<const T*>(parts[rank].send);
    for (std::size_t i = 0; i < count; ++i) {
      if (op == ReduceOp::sum) result[i] += values[i];
      if (op == ReduceOp::max) result[i] = std::max(result[i], values[i]);
      if (op == ReduceOp::min) result[i] = std::min(result[i], values[i]);
    }
  }
  for (const Part& part : parts) std::memcpy(part.receive, result.data(), count * sizeof(T));
}

void reduce_typed(std::vector<Part>& parts, std::size_t count, DType dtype, ReduceOp op) {
  if (count == 0) return;
  if (dtype == DType::f32) reduce<float>(parts, count, op);
  if (dtype == DType::f64) reduce<double>(parts, count, op);
  if (dtype == DType::i32) reduce<std::int32_t>(parts, count, op);
  if (dtype == DType::i64) reduce<std::int64_t>(parts, count, op);
}

void copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

/// Where part `rank` begins.
std::size_t offset_of(Counts counts, std::size_t rank) {
  return std::accumulate(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(rank), std::size_t{0});
}

/// Every part of every rank's send buffer to the rank it is for. Throws Error{internal} where both sides disagree.
void exchange(std::vector<Part>& parts) {
  for (std::size_t from = 0; from < parts.size(); ++from) {
    for (std::size_t to = 0; to < parts.size(); ++to) {
      const std::size_t sent = parts[from].send_counts[to];
      const std::size_t expected = parts[to].receive_counts[from];
      if (sent != expected) {
        throw Error(ErrorCode::internal, fmt::format("all_to_all_v: rank {} sends {} bytes to rank {} (which expects "
                                                     "{}). Correct the counts.",
                                                     from, sent, to, expected));
      }
      copy(parts[to].receive + offset_of(parts[to].receive_counts, from),
           parts[from].send + offset_of(parts[from].send_counts, to), sent);
    }
  }
}

/// One rank's end of one operation.
class Handle final : public Request {
 public:
  Handle(std::shared_ptr<World> world, std::shared_ptr<Operation> operation, int rank)
      : world_(std::move(world)),
        operation_(std::move(operation)),
        rank_(rank),
        exceptions_at_start_(std::uncaught_exceptions()) {}

  ~Handle() override {
    if (std::uncaught_exceptions() > exceptions_at_start_) {
      const std::lock_guard lock(world_->mutex);
      if (!operation_->done) world_->fail_locked(rank_);  // the buffer goes: nobody may touch it now
      return;
    }
    try {
      wait();
    } catch (const Error&) {  // run_thread_ranks reports the rank that failed
    }
  }

  bool test() override {
    const std::lock_guard lock(world_->mutex);
    return finished();
  }

  void wait() override {
    std::unique_lock lock(world_->mutex);
    world_->changed.wait(lock, [&] { return finished(); });
  }

  std::shared_ptr<Channel> made() const {
    const std::lock_guard lock(world_->mutex);
    return operation_->made;
  }

 private:
  /// Throws when it never will be.
  bool finished() {
    if (operation_->done) return true;
    if (world_->failed_rank >= 0) {
      world_->wake(rank_, operation_->signature, fmt::format("rank {} failed", world_->failed_rank));
    }
    if (const int deserter = world_->deserter(*operation_); deserter >= 0) {
      world_->wake(rank_, operation_->signature, fmt::format("rank {} has ended without it", deserter));
    }
    return false;
  }

  std::shared_ptr<World> world_;
  std::shared_ptr<Operation> operation_;
  int rank_;
  int exceptions_at_start_;
};

class ThreadCommunicator final : public comm::Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<World> world, std::shared_ptr<Channel> channel, int rank)
      : world_(std::move(world)), channel_(std::move(channel)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return world_->size; }
  std::string description() const override { return fmt::format("threads: {} ranks", size()); }

  void barrier() override {
    post("barrier", {}, [](Operation&) {})->wait();
  }

  void broadcast(std::span<std::byte> data, int root) override {
    comm::check_root("broadcast", root, size());
    post(fmt::format("broadcast of {} bytes from rank {}", data.size(), root), {data.data(), data.data(), {}, {}},
         [&](Operation& operation) {
           const Part& source = operation.parts[static_cast<std::size_t>(root)];
           for (const Part& part : operation.parts) {
             if (part.receive != source.send) copy(part.receive, source.send, data.size());
           }
         })
        ->wait();
  }

  void all_reduce(void* data, std::size_t count, DType dtype, ReduceOp op) override {
    post_all_reduce("all_reduce", data, count, dtype, op)->wait();
  }
  std::unique_ptr<Request> all_reduce_async(void* data, std::size_t count, DType dtype, ReduceOp op) override {
    return post_all_reduce("all_reduce_async", data, count, dtype, op);
  }

  void all_gather(Bytes send, std::span<std::byte> receive) override {
    comm::check_all_gather(send, receive, size());
    gather(fmt::format("all_gather of {} bytes", send.size()), send, receive, equal_counts(send.size()));
  }
  void all_gather_v(Bytes send, std::span<std::byte> receive, Counts byte_counts) override {
    comm::check_all_gather_v(send, receive, byte_counts, rank_, size());
    gather(fmt::format("all_gather_v of {} bytes", fmt::join(byte_counts, " + ")), send, receive, byte_counts);
  }

  void reduce_scatter(std::span<const float> send, std::span<float> receive) override {
    comm::check_reduce_scatter(send.size(), receive.size(), size());
    std::vector<float> sums(send.begin(), send.end());
    post_all_reduce("reduce_scatter", sums.data(), sums.size(), DType::f32, ReduceOp::sum)->wait();
    const auto begin = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(rank_) * receive.size());
    std::copy_n(sums.begin() + begin, receive.size(), receive.begin());
  }

  void all_to_all(Bytes send, std::span<std::byte> receive) override {
    comm::check_all_to_all(send, receive, size());
    const std::vector<std::size_t> counts = equal_counts(send.size() / static_cast<std::size_t>(size()));
    exchange_with_all(fmt::format("all_to_all of {} bytes", send.size()), send, counts, receive, counts);
  }
  void all_to_all_v(Bytes send, Counts send_counts, std::span<std::byte> receive, Counts receive_counts) override {
    comm::check_all_to_all_v(send, send_counts, receive, receive_counts, rank_, size());
    exchange_with_all("all_to_all_v", send, send_counts, receive, receive_counts);
  }

  std::unique_ptr<Communicator> duplicate() override {
    const auto handle =
        post("duplicate", {}, [](Operation& operation) { operation.made = std::make_shared<Channel>(); });
    handle->wait();
    return std::make_unique<ThreadCommunicator>(world_, handle->made(), rank_);
  }

  [[noreturn]] void abort(int exit_code) override {
    throw Error(ErrorCode::comm, fmt::format("rank {} aborted the job with exit code {}.", rank_, exit_code));
  }

 private:
  /// Joins this communicator's next operation. The last rank runs complete(operation) for all of them.
  template <class Complete>
  std::unique_ptr<Handle> post(std::string signature, Part part, Complete&& complete) {
    const std::lock_guard lock(world_->mutex);
    if (world_->failed_rank >= 0) {
      world_->wake(rank_, signature, fmt::format("rank {} failed", world_->failed_rank));
    }
    const std::uint64_t sequence = next_sequence_++;
    std::shared_ptr<Operation>& entry = channel_->pending[sequence];
    if (entry == nullptr) entry = begin_operation(signature);
    const std::shared_ptr<Operation> operation = entry;
    if (operation->signature != signature) {
      world_->fail_locked(rank_);
      throw Error(ErrorCode::internal, fmt::format("rank {} calls {} (another rank called {}). All ranks must make the "
                                                   "same calls in the same order.",
                                                   rank_, signature, operation->signature));
    }
    operation->parts[static_cast<std::size_t>(rank_)] = part;
    operation->posted[static_cast<std::size_t>(rank_)] = true;
    if (++operation->posts == size()) {
      channel_->pending.erase(sequence);
      try {
        complete(*operation);
      } catch (...) {
        world_->fail_locked(rank_);
        throw;
      }
      operation->done = true;
    }
    world_->changed.notify_all();
    return std::make_unique<Handle>(world_, operation, rank_);
  }

  std::shared_ptr<Operation> begin_operation(const std::string& signature) const {
    auto operation = std::make_shared<Operation>();
    operation->signature = signature;
    operation->parts.resize(static_cast<std::size_t>(size()));
    operation->posted.resize(static_cast<std::size_t>(size()));
    return operation;
  }

  std::unique_ptr<Handle> post_all_reduce(const char* name, void* data, std::size_t count, DType dtype, ReduceOp op) {
    comm::check_reducible(name, dtype);
    auto* bytes = static_cast<std::byte*>(data);
    return post(fmt::format("{} ({}) of {} {}", name, static_cast<int>(op), count, name_of(dtype)),
                {bytes, bytes, {}, {}}, [&](Operation& operation) { reduce_typed(operation.parts, count, dtype, op); });
  }

  void gather(std::string signature, Bytes send, std::span<std::byte> receive, Counts counts) {
    post(std::move(signature), {send.data(), receive.data(), {}, {}}, [&](Operation& operation) {
      for (const Part& to : operation.parts) {
        for (std::size_t from = 0; from < counts.size(); ++from) {
          copy(to.receive + offset_of(counts, from), operation.parts[from].send, counts[from]);
        }
      }
    })->wait();
  }

  void exchange_with_all(std::string signature, Bytes send, Counts send_counts, std::span<std::byte> receive,
                         Counts receive_counts) {
    post(std::move(signature), {send.data(), receive.data(), send_counts, receive_counts}, [](Operation& operation) {
      exchange(operation.parts);
    })->wait();
  }

  std::vector<std::size_t> equal_counts(std::size_t bytes) const {
    return std::vector<std::size_t>(static_cast<std::size_t>(size()), bytes);
  }

  std::shared_ptr<World> world_;
  std::shared_ptr<Channel> channel_;
  int rank_;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace

void run_thread_ranks(int size, const std::function<void(comm::Communicator&)>& body) {
  if (size < 1) throw Error(ErrorCode::internal, fmt::format("a world of {} ranks (at least 1 is needed).", size));
  const auto world = std::make_shared<World>(size);
  const auto channel = std::make_shared<Channel>();
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        ThreadCommunicator communicator(world, channel, rank);
        body(communicator);
        world->end(rank);
      } catch (...) {
        failures[static_cast<std::size_t>(rank)] = std::current_exception();
        world->fail(rank);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  std::exception_ptr first;
  for (std::size_t rank = 0; rank < failures.size(); ++rank) {
    if (failures[rank] == nullptr) continue;
    if (!world->woken[rank]) std::rethrow_exception(failures[rank]);
    if (first == nullptr) first = failures[rank];
  }
  if (first != nullptr) std::rethrow_exception(first);
}

void expect(bool condition, const std::string& text) {
  if (!condition) throw std::runtime_error(text);
}

}  // namespace plsc::test
