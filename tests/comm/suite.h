#pragma once
// What every Communicator must do, whatever carries it: one list of checks that run on all ranks at once and throw on
// the rank that sees a wrong result.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "plsc/comm/communicator.h"
#include "plsc/core/error.h"
#include "plsc/core/random.h"
#include "support/thread_ranks.h"

namespace plsc::test {

using comm::Communicator;
using comm::ReduceOp;

struct CommCheck {
  const char* name;
  void (*run)(Communicator&);
};

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}
template <class T>
std::span<std::byte> writable_bytes_of(std::vector<T>& values) {
  return std::as_writable_bytes(std::span(values));
}

/// What rank `rank` brings at place `i`: small integers, so that every type and order gives one exact sum.
template <class T>
T sample(int rank, std::size_t i) {
  return static_cast<T>((rank + 2) * static_cast<int>(i % 17) - 5 * rank);
}

/// Throws for the first of `count` places where right(i) is false.
template <class Right>
void expect_places(std::size_t count, const char* what, Right&& right) {
  for (std::size_t i = 0; i < count; ++i) {
    if (!right(i)) expect(false, fmt::format("{}: place {} of {}", what, i, count));
  }
}

template <class T>
T expected_reduction(int size, std::size_t i, ReduceOp op) {
  T result = sample<T>(0, i);
  for (int rank = 1; rank < size; ++rank) {
    const T value = sample<T>(rank, i);
    result = op == ReduceOp::sum   ? result + value
             : op == ReduceOp::max ? std::max(result, value)
                                   : std::min(result, value);
  }
  return result;
}

template <class T>
void check_all_reduce_of(Communicator& comm, std::size_t count) {
  for (const ReduceOp op : {ReduceOp::sum, ReduceOp::max, ReduceOp::min}) {
    std::vector<T> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = sample<T>(comm.rank(), i);

    comm.all_reduce(std::span(values), op);

    expect_places(count, "all_reduce",
                  [&](std::size_t i) { return values[i] == expected_reduction<T>(comm.size(), i, op); });
  }
}

inline void check_all_reduce(Communicator& comm) {
  for (const std::size_t count : {0, 1, 7, 4099}) {
    check_all_reduce_of<float>(comm, count);
    check_all_reduce_of<double>(comm, count);
    check_all_reduce_of<std::int32_t>(comm, count);
    check_all_reduce_of<std::int64_t>(comm, count);
  }
  const double sum = comm.all_reduce_value(comm.rank() + 0.5, ReduceOp::sum);
  expect(sum == comm.size() * comm.size() / 2.0, "all_reduce_value");
}

inline void check_large_all_reduce(Communicator& comm) { check_all_reduce_of<float>(comm, 2'500'000); }

/// Sums that depend on the order of addition must still be the same bits everywhere, at every length.
inline void check_equal_bits(Communicator& comm) {
  for (const std::size_t count : {1, 3, 1000, 70'001, 600'000}) {
    std::vector<float> values(count);
    CounterRng rng(3, RandomPurpose::test, static_cast<std::uint64_t>(comm.rank()), count);
    for (float& value : values)
      value = static_cast<float>(std::ldexp(rng.uniform() - 0.5, static_cast<int>(rng.below(20))));
    std::vector<float> again = values;

    comm.all_reduce(std::span(values), ReduceOp::sum);
    comm.all_reduce_async(again.data(), count, DType::f32, ReduceOp::sum)->wait();

    for (std::vector<float>* mine : {&values, &again}) {
      std::vector<float> first = *mine;
      comm.broadcast(writable_bytes_of(first), 0);
      expect(std::memcmp(first.data(), mine->data(), count * sizeof(float)) == 0,
             fmt::format("bits of {} sums", count));
    }
  }
}

inline void check_async(Communicator& comm) {
  std::vector<std::int64_t> empty;
  comm.all_reduce_async(empty.data(), 0, DType::i64, ReduceOp::sum)->wait();
  std::vector<std::int64_t> values(5000, comm.rank() + 1);

  const auto request = comm.all_reduce_async(values.data(), values.size(), DType::i64, ReduceOp::sum);
  while (!request->test()) std::this_thread::yield();
  request->wait();

  const std::int64_t ranks = comm.size();
  expect(std::ranges::count(values, ranks * (ranks + 1) / 2) == 5000, "sum after test()");
  expect(request->test(), "test() stays true");
}

/// Several operations in flight on one communicator, completed in another order; a handle that just goes.
inline void check_async_order(Communicator& comm) {
  std::vector<std::vector<float>> values;
  for (int i = 0; i < 4; ++i) values.emplace_back(static_cast<std::size_t>(1000 * i + 1), static_cast<float>(i));

  std::vector<std::unique_ptr<comm::Request>> requests;
  for (auto& part : values) {
    requests.push_back(comm.all_reduce_async(part.data(), part.size(), DType::f32, ReduceOp::sum));
  }
  requests[3]->wait();
  requests[1].reset();
  requests[0]->wait();
  requests[2]->wait();

  for (int i = 0; i < 4; ++i) {
    const auto& part = values[static_cast<std::size_t>(i)];
    const auto right = std::ranges::count(part, static_cast<float>(i * comm.size()));
    expect(right == static_cast<std::ptrdiff_t>(part.size()), fmt::format("operation {} of four in flight", i));
  }
}

/// Traffic on the original and on two copies while an operation is in flight; ranks use the copies in different orders.
inline void check_overlap(Communicator& comm) {
  const auto first = comm.duplicate();
  const auto second = comm.duplicate();
  std::vector<float> gradients(300'000, 1.0F);
  std::vector<float> statistics(100, static_cast<float>(comm.rank()));
  std::unique_ptr<comm::Request> on_first;
  std::unique_ptr<comm::Request> on_second;
  const auto start_first = [&] {
    on_first = first->all_reduce_async(gradients.data(), gradients.size(), DType::f32, ReduceOp::sum);
  };
  const auto start_second = [&] {
    on_second = second->all_reduce_async(statistics.data(), statistics.size(), DType::f32, ReduceOp::max);
  };

  comm.rank() % 2 == 0 ? start_first() : start_second();
  const std::int64_t on_original = comm.all_reduce_value(std::int64_t{1}, ReduceOp::sum);
  comm.rank() % 2 == 0 ? start_second() : start_first();
  comm.barrier();
  comm.rank() % 2 == 0 ? on_second->wait() : on_first->wait();
  comm.rank() % 2 == 0 ? on_first->wait() : on_second->wait();

  expect(on_original == comm.size(), "all_reduce beside two others in flight");
  expect(std::ranges::count(gradients, static_cast<float>(comm.size())) == 300'000, "first copy");
  expect(std::ranges::count(statistics, static_cast<float>(comm.size() - 1)) == 100, "second copy");
  expect(first->rank() == comm.rank() && second->size() == comm.size(), "copies have the same ranks");
}

inline void check_broadcast(Communicator& comm) {
  for (int root = 0; root < comm.size(); ++root) {
    for (const std::size_t count : {std::size_t{0}, std::size_t{3}, std::size_t{1'300'000}}) {
      std::vector<std::int32_t> values(count, comm.rank() == root ? 40 + root : -1);

      comm.broadcast(writable_bytes_of(values), root);

      expect(std::ranges::count(values, 40 + root) == static_cast<std::ptrdiff_t>(count), "broadcast");
    }
  }
}

inline void check_all_gather(Communicator& comm) {
  const auto ranks = static_cast<std::size_t>(comm.size());
  for (const std::size_t count : {std::size_t{0}, std::size_t{5}, std::size_t{300'000}}) {
    const std::vector<std::int64_t> mine(count, comm.rank() + 10);
    std::vector<std::int64_t> all(count * ranks, -1);

    comm.all_gather(bytes_of(mine), writable_bytes_of(all));

    expect_places(all.size(), "all_gather",
                  [&](std::size_t i) { return all[i] == static_cast<std::int64_t>(i / count) + 10; });
  }
  const std::vector<int> values = comm.all_gather_values(comm.rank() * 3);
  for (int rank = 0; rank < comm.size(); ++rank) {
    expect(values[static_cast<std::size_t>(rank)] == rank * 3, "all_gather_values");
  }
}

/// Rank r gives `unit` * ((r + shift) % 3) bytes: some ranks nothing.
inline void check_all_gather_v(Communicator& comm) {
  for (const std::size_t unit : {std::size_t{0}, std::size_t{7}, std::size_t{900'000}}) {
    for (int shift = 0; shift < 3; ++shift) {
      std::vector<std::size_t> counts;
      std::vector<unsigned char> expected;
      for (int rank = 0; rank < comm.size(); ++rank) {
        counts.push_back(unit * static_cast<std::size_t>((rank + shift) % 3));
        expected.insert(expected.end(), counts.back(), static_cast<unsigned char>(rank + 1));
      }
      const std::vector<unsigned char> mine(counts[static_cast<std::size_t>(comm.rank())],
                                            static_cast<unsigned char>(comm.rank() + 1));
      std::vector<unsigned char> all(expected.size());

      comm.all_gather_v(bytes_of(mine), writable_bytes_of(all), counts);

      expect(all == expected, fmt::format("all_gather_v: unit {}, shift {}", unit, shift));
    }
  }
}

inline void check_reduce_scatter(Communicator& comm) {
  const auto ranks = static_cast<std::size_t>(comm.size());
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{33}, std::size_t{400'000}}) {
    std::vector<float> parts(count * ranks);
    for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = sample<float>(comm.rank(), i);
    std::vector<float> mine(count, -1.0F);

    comm.reduce_scatter(parts, mine);

    const std::size_t begin = count * static_cast<std::size_t>(comm.rank());
    expect_places(count, "reduce_scatter", [&](std::size_t i) {
      return mine[i] == expected_reduction<float>(comm.size(), begin + i, ReduceOp::sum);
    });
  }
}

inline void check_all_to_all(Communicator& comm) {
  const auto ranks = static_cast<std::size_t>(comm.size());
  for (const std::size_t count : {std::size_t{0}, std::size_t{4}, std::size_t{300'000}}) {
    std::vector<std::int32_t> send(count * ranks);
    for (std::size_t i = 0; i < send.size(); ++i) send[i] = comm.rank() * 100 + static_cast<int>(i / count);
    std::vector<std::int32_t> received(send.size(), -1);

    comm.all_to_all(bytes_of(send), writable_bytes_of(received));

    expect_places(received.size(), "all_to_all",
                  [&](std::size_t i) { return received[i] == static_cast<int>(i / count) * 100 + comm.rank(); });
  }
}

/// Rank a sends rank b `unit` * ((a + 2b) % 4) bytes.
inline void check_all_to_all_v(Communicator& comm) {
  const auto bytes = [](int from, int to, std::size_t unit) {
    return unit * static_cast<std::size_t>((from + 2 * to) % 4);
  };
  const auto value = [](int from, int to) { return static_cast<unsigned char>(from * 16 + to); };
  for (const std::size_t unit : {std::size_t{0}, std::size_t{1}, std::size_t{5}, std::size_t{400'000}}) {
    std::vector<std::size_t> send_counts;
    std::vector<std::size_t> receive_counts;
    std::vector<unsigned char> send;
    std::vector<unsigned char> expected;
    for (int peer = 0; peer < comm.size(); ++peer) {
      send_counts.push_back(bytes(comm.rank(), peer, unit));
      receive_counts.push_back(bytes(peer, comm.rank(), unit));
      send.insert(send.end(), send_counts.back(), value(comm.rank(), peer));
      expected.insert(expected.end(), receive_counts.back(), value(peer, comm.rank()));
    }
    std::vector<unsigned char> received(expected.size());

    comm.all_to_all_v(bytes_of(send), send_counts, writable_bytes_of(received), receive_counts);

    expect(received == expected, fmt::format("all_to_all_v: unit {}", unit));
  }
}

inline void check_texts(Communicator& comm) {
  const int last = comm.size() - 1;
  const std::string text = "two lines\nand a zero byte " + std::string(1, '\0') + std::string(3000, 'x');

  const std::string from_last = comm.broadcast_text(comm.rank() == last ? text : "ignored", last);
  const std::string nothing = comm.broadcast_text("", 0);
  const std::vector<std::string> all =
      comm.all_gather_text(std::string(static_cast<std::size_t>(comm.rank()) * 5, 'r'));

  expect(from_last == text, "broadcast_text");
  expect(nothing.empty(), "broadcast_text of nothing");
  expect(static_cast<int>(all.size()) == comm.size(), "all_gather_text");
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    expect(all[rank] == std::string(rank * 5, 'r'), fmt::format("all_gather_text: rank {}", rank));
  }
}

/// Runs `call`, which must throw Error{internal} with all `words` in its message.
template <class Call>
void expect_refused(Call&& call, const std::vector<std::string>& words) {
  try {
    call();
  } catch (const Error& error) {
    expect(error.code() == ErrorCode::internal, fmt::format("code of: {}", error.message()));
    for (const std::string& word : words) {
      expect(error.message().find(word) != std::string::npos, fmt::format("\"{}\" in: {}", word, error.message()));
    }
    return;
  }
  expect(false, fmt::format("no error with \"{}\"", words.front()));
}

inline void check_bad_sizes(Communicator& comm) {
  const auto ranks = static_cast<std::size_t>(comm.size());
  std::vector<std::byte> buffer(8 * ranks + 1);
  const std::span<std::byte> odd(buffer);
  const std::span<std::byte> right = odd.first(8 * ranks);
  const std::span<const std::byte> send = right.first(8);
  const std::vector<std::size_t> counts(ranks, 8);
  const std::vector<std::size_t> too_many(ranks + 1, 8);
  std::vector<float> floats(ranks + 1);
  std::vector<std::byte> received(8 * ranks);

  expect_refused([&] { comm.broadcast(right, comm.size()); }, {"broadcast", "root is rank"});
  expect_refused([&] { comm.broadcast(right, -1); }, {"root is rank -1"});
  expect_refused([&] { comm.all_reduce(buffer.data(), 2, DType::bf16, ReduceOp::sum); }, {"all_reduce", "bf16"});
  expect_refused([&] { comm.all_reduce_async(buffer.data(), 2, DType::u8, ReduceOp::sum); }, {"async", "u8"});
  expect_refused([&] { comm.all_gather(send, odd); }, {"all_gather", "receive", "bytes"});
  expect_refused([&] { comm.all_gather_v(send, right, too_many); }, {"byte_counts", "entries"});
  expect_refused([&] { comm.all_gather_v(send.first(7), right, counts); }, {"all_gather_v", "send", "7 bytes"});
  expect_refused([&] { comm.all_gather_v(send, odd, counts); }, {"all_gather_v", "receive"});
  expect_refused([&] { comm.reduce_scatter(floats, std::span(floats).first(1)); }, {"reduce_scatter", "send"});
  expect_refused([&] { comm.all_to_all(send, odd); }, {"all_to_all", "receive"});
  expect_refused([&] { comm.all_to_all_v(right, too_many, received, counts); }, {"send_counts"});
  expect_refused([&] { comm.all_to_all_v(right, counts, received, too_many); }, {"receive_counts"});
  expect_refused([&] { comm.all_to_all_v(odd, counts, received, counts); }, {"all_to_all_v", "send buffer"});
  expect_refused([&] { comm.all_to_all_v(right, counts, odd, counts); }, {"all_to_all_v", "receive buffer"});
  if (comm.size() > 1) expect_refused([&] { comm.all_to_all(odd, odd); }, {"not a multiple"});

  std::vector<std::size_t> other_self = counts;
  other_self[static_cast<std::size_t>(comm.rank())] = 9;
  expect_refused([&] { comm.all_to_all_v(right, counts, odd, other_self); }, {"sends itself 8 bytes and expects 9"});
}

inline const std::vector<CommCheck>& comm_checks() {
  static const std::vector<CommCheck> checks = {
      {"all_reduce", check_all_reduce},
      {"all_reduce of several MB", check_large_all_reduce},
      {"all_reduce gives the same bits everywhere", check_equal_bits},
      {"all_reduce_async", check_async},
      {"operations in flight", check_async_order},
      {"overlap on duplicates", check_overlap},
      {"broadcast", check_broadcast},
      {"all_gather", check_all_gather},
      {"all_gather_v", check_all_gather_v},
      {"reduce_scatter", check_reduce_scatter},
      {"all_to_all", check_all_to_all},
      {"all_to_all_v", check_all_to_all_v},
      {"texts", check_texts},
      {"wrong sizes", check_bad_sizes},
  };
  return checks;
}

}  // namespace plsc::test
