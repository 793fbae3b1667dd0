#include "comm/checks.h"

#include <fmt/format.h>

#include <numeric>

#include "plsc/core/error.h"

namespace plsc::comm {

namespace {

std::size_t total(Counts counts) { return std::accumulate(counts.begin(), counts.end(), std::size_t{0}); }

void check_size(const char* operation, const char* buffer, std::size_t actual, std::size_t needed, const char* unit) {
  if (actual == needed) return;
  throw Error(ErrorCode::internal, fmt::format("{}: the {} buffer has {} {} ({} are needed). Pass a span that fits.",
                                               operation, buffer, actual, unit, needed));
}

void check_count_list(const char* operation, const char* list, Counts counts, int size) {
  if (counts.size() == static_cast<std::size_t>(size)) return;
  throw Error(ErrorCode::internal, fmt::format("{}: {} has {} entries (there are {} ranks). Pass one count per rank.",
                                               operation, list, counts.size(), size));
}

}  // namespace

void check_root(const char* operation, int root, int size) {
  if (root >= 0 && root < size) return;
  throw Error(ErrorCode::internal,
              fmt::format("{}: root is rank {} (ranks go from 0 to {}). Pass a rank.", operation, root, size - 1));
}

void check_reducible(const char* operation, DType dtype) {
  if (dtype == DType::f32 || dtype == DType::f64 || dtype == DType::i32 || dtype == DType::i64) return;
  throw Error(ErrorCode::internal, fmt::format("{}: elements of type {} (f32, f64, i32 and i64 can be reduced). "
                                               "Convert them first.",
                                               operation, name_of(dtype)));
}

void check_all_gather(Bytes send, Bytes receive, int size) {
  check_size("all_gather", "receive", receive.size(), send.size() * static_cast<std::size_t>(size), "bytes");
}

void check_all_gather_v(Bytes send, Bytes receive, Counts byte_counts, int rank, int size) {
  check_count_list("all_gather_v", "byte_counts", byte_counts, size);
  check_size("all_gather_v", "send", send.size(), byte_counts[static_cast<std::size_t>(rank)], "bytes");
  check_size("all_gather_v", "receive", receive.size(), total(byte_counts), "bytes");
}

void check_reduce_scatter(std::size_t send_elements, std::size_t receive_elements, int size) {
  check_size("reduce_scatter", "send", send_elements, receive_elements * static_cast<std::size_t>(size), "elements");
}

void check_all_to_all(Bytes send, Bytes receive, int size) {
  check_size("all_to_all", "receive", receive.size(), send.size(), "bytes");
  if (send.size() % static_cast<std::size_t>(size) == 0) return;
  throw Error(ErrorCode::internal, fmt::format("all_to_all: the send buffer has {} bytes (not a multiple of the {} "
                                               "ranks). Use all_to_all_v for unequal parts.",
                                               send.size(), size));
}

void check_all_to_all_v(Bytes send, Counts send_counts, Bytes receive, Counts receive_counts, int rank, int size) {
  check_count_list("all_to_all_v", "send_counts", send_counts, size);
  check_count_list("all_to_all_v", "receive_counts", receive_counts, size);
  check_size("all_to_all_v", "send", send.size(), total(send_counts), "bytes");
  check_size("all_to_all_v", "receive", receive.size(), total(receive_counts), "bytes");
  const std::size_t sent = send_counts[static_cast<std::size_t>(rank)];
  const std::size_t expected = receive_counts[static_cast<std::size_t>(rank)];
  if (sent == expected) return;
  throw Error(ErrorCode::internal, fmt::format("all_to_all_v: rank {} sends itself {} bytes and expects {} (both must "
                                               "agree). Correct the counts.",
                                               rank, sent, expected));
}

}  // namespace plsc::comm
