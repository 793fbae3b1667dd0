#include "comm/mpi/mpi_communicator.h"

#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <exception>
#include <numeric>
#include <utility>

#include "comm/checks.h"
#include "plsc/comm/mpi.h"

namespace plsc::comm {

namespace {

MPI_Datatype mpi_type(DType dtype) {
  switch (dtype) {
    case DType::f64: return MPI_DOUBLE;
    case DType::i32: return MPI_INT32_T;
    case DType::i64: return MPI_INT64_T;
    default: return MPI_FLOAT;  // check_reducible() lets only f32 come here
  }
}

MPI_Op mpi_op(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum: return MPI_SUM;
    case ReduceOp::max: return MPI_MAX;
    case ReduceOp::min: return MPI_MIN;
  }
  return MPI_SUM;
}

/// Calls body(offset, count) for consecutive pieces of at most `limit` out of `total`; not at all for nothing.
template <class Body>
void for_pieces(std::size_t total, std::size_t limit, Body&& body) {
  for (std::size_t offset = 0; offset < total; offset += limit) {
    body(offset, static_cast<int>(std::min(limit, total - offset)));
  }
}

class MpiRequest final : public Request {
 public:
  MpiRequest(std::vector<MPI_Request> pieces, int rank)
      : pieces_(std::move(pieces)), rank_(rank), exceptions_at_start_(std::uncaught_exceptions()) {}

  ~MpiRequest() override {
    if (std::uncaught_exceptions() > exceptions_at_start_) return;  // peers may never post their part
    MPI_Waitall(static_cast<int>(pieces_.size()), pieces_.data(), MPI_STATUSES_IGNORE);
  }

  bool test() override {
    int finished = 0;
    check_mpi(MPI_Testall(static_cast<int>(pieces_.size()), pieces_.data(), &finished, MPI_STATUSES_IGNORE),
              "MPI_Testall", rank_);
    return finished != 0;
  }

  void wait() override {
    check_mpi(MPI_Waitall(static_cast<int>(pieces_.size()), pieces_.data(), MPI_STATUSES_IGNORE), "MPI_Waitall", rank_);
  }

 private:
  std::vector<MPI_Request> pieces_;  ///< MPI_REQUEST_NULL once finished
  int rank_;
  int exceptions_at_start_;
};

int rank_of(MPI_Comm comm) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  return rank;
}

/// Owns a duplicate of an MPI communicator. Freeing it is collective, so it is left alone when an exception is on its
/// way and when MPI has ended.
class OwnedComm {
 public:
  explicit OwnedComm(MPI_Comm original) : exceptions_at_start_(std::uncaught_exceptions()) {
    check_mpi(MPI_Comm_dup(original, &comm_), "MPI_Comm_dup", rank_of(original));
  }
  ~OwnedComm() {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (!finalized && std::uncaught_exceptions() == exceptions_at_start_) MPI_Comm_free(&comm_);
  }
  OwnedComm(const OwnedComm&) = delete;
  OwnedComm& operator=(const OwnedComm&) = delete;
  MPI_Comm get() const { return comm_; }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
  int exceptions_at_start_;
};

/// "Open MPI v4.1.4", without the build details that follow.
std::string library_name() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) return "unknown library";
  const std::string version(text, static_cast<std::size_t>(length));
  return version.substr(0, version.find_first_of(",\n"));
}

/// Hosts that the ranks of `world` run on, by shared memory. Collective.
int count_hosts(MPI_Comm world, int rank) {
  MPI_Comm host = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &host), "MPI_Comm_split_type", rank);
  int hosts = rank_of(host) == 0 ? 1 : 0;
  MPI_Comm_free(&host);
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &hosts, 1, MPI_INT, MPI_SUM, world), "MPI_Allreduce", rank);
  return hosts;
}

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(MPI_Comm original, std::size_t max_count)
      : comm_(original), max_count_(max_count), rank_(rank_of(comm_.get())) {
    check_mpi(MPI_Comm_size(comm_.get(), &size_), "MPI_Comm_size", rank_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string description() const override { return description_; }
  void set_description(std::string description) { description_ = std::move(description); }

  void barrier() override { check_mpi(MPI_Barrier(comm_.get()), "MPI_Barrier", rank_); }

  void broadcast(std::span<std::byte> data, int root) override {
    check_root("broadcast", root, size_);
    broadcast_pieces(data, root);
  }

  void all_reduce(void* data, std::size_t count, DType dtype, ReduceOp op) override {
    check_reducible("all_reduce", dtype);
    for_pieces(count, max_count_, [&](std::size_t offset, int piece) {
      void* place = static_cast<std::byte*>(data) + offset * size_of(dtype);
      check_mpi(MPI_Allreduce(MPI_IN_PLACE, place, piece, mpi_type(dtype), mpi_op(op), comm_.get()), "MPI_Allreduce",
                rank_);
    });
  }

  std::unique_ptr<Request> all_reduce_async(void* data, std::size_t count, DType dtype, ReduceOp op) override {
    check_reducible("all_reduce_async", dtype);
    std::vector<MPI_Request> pieces;
    for_pieces(count, max_count_, [&](std::size_t offset, int piece) {
      void* place = static_cast<std::byte*>(data) + offset * size_of(dtype);
      pieces.push_back(MPI_REQUEST_NULL);
      check_mpi(MPI_Iallreduce(MPI_IN_PLACE, place, piece, mpi_type(dtype), mpi_op(op), comm_.get(), &pieces.back()),
                "MPI_Iallreduce", rank_);
    });
    return std::make_unique<MpiRequest>(std::move(pieces), rank_);
  }

  void all_gather(std::span<const std::byte> send, std::span<std::byte> receive) override {
    check_all_gather(send, receive, size_);
    if (send.size() > max_count_) {
      gather_by_broadcasts(send, receive, std::vector<std::size_t>(static_cast<std::size_t>(size_), send.size()));
      return;
    }
    const int count = static_cast<int>(send.size());
    check_mpi(MPI_Allgather(send.data(), count, MPI_BYTE, receive.data(), count, MPI_BYTE, comm_.get()),
              "MPI_Allgather", rank_);
  }

  void all_gather_v(std::span<const std::byte> send, std::span<std::byte> receive,
                    std::span<const std::size_t> byte_counts) override {
    check_all_gather_v(send, receive, byte_counts, rank_, size_);
    if (receive.size() > max_count_) {
      gather_by_broadcasts(send, receive, byte_counts);
      return;
    }
    const std::vector<int> counts(byte_counts.begin(), byte_counts.end());
    std::vector<int> offsets(counts.size());
    std::exclusive_scan(counts.begin(), counts.end(), offsets.begin(), 0);
    check_mpi(MPI_Allgatherv(send.data(), static_cast<int>(send.size()), MPI_BYTE, receive.data(), counts.data(),
                             offsets.data(), MPI_BYTE, comm_.get()),
              "MPI_Allgatherv", rank_);
  }

  void reduce_scatter(std::span<const float> send, std::span<float> receive) override {
    check_reduce_scatter(send.size(), receive.size(), size_);
    if (send.size() <= max_count_) {
      check_mpi(MPI_Reduce_scatter_block(send.data(), receive.data(), static_cast<int>(receive.size()), MPI_FLOAT,
                                         MPI_SUM, comm_.get()),
                "MPI_Reduce_scatter_block", rank_);
      return;
    }
    for (int root = 0; root < size_; ++root) {
      const float* part = send.data() + static_cast<std::size_t>(root) * receive.size();
      for_pieces(receive.size(), max_count_, [&](std::size_t offset, int piece) {
        check_mpi(MPI_Reduce(part + offset, receive.data() + offset, piece, MPI_FLOAT, MPI_SUM, root, comm_.get()),
                  "MPI_Reduce", rank_);
      });
    }
  }

  void all_to_all(std::span<const std::byte> send, std::span<std::byte> receive) override {
    check_all_to_all(send, receive, size_);
    const std::size_t part = send.size() / static_cast<std::size_t>(size_);
    if (part > max_count_) {
      const std::vector<std::size_t> counts(static_cast<std::size_t>(size_), part);
      exchange(send, counts, receive, counts);
      return;
    }
    const int count = static_cast<int>(part);
    check_mpi(MPI_Alltoall(send.data(), count, MPI_BYTE, receive.data(), count, MPI_BYTE, comm_.get()), "MPI_Alltoall",
              rank_);
  }

  void all_to_all_v(std::span<const std::byte> send, std::span<const std::size_t> send_counts,
                    std::span<std::byte> receive, std::span<const std::size_t> receive_counts) override {
    check_all_to_all_v(send, send_counts, receive, receive_counts, rank_, size_);
    exchange(send, send_counts, receive, receive_counts);
  }

  std::unique_ptr<Communicator> duplicate() override {
    auto copy = std::make_unique<MpiCommunicator>(comm_.get(), max_count_);
    copy->set_description(description_);
    return copy;
  }

  [[noreturn]] void abort(int exit_code) override { abort_job(exit_code); }

 private:
  void broadcast_pieces(std::span<std::byte> data, int root) {
    for_pieces(data.size(), max_count_, [&](std::size_t offset, int piece) {
      check_mpi(MPI_Bcast(data.data() + offset, piece, MPI_BYTE, root, comm_.get()), "MPI_Bcast", rank_);
    });
  }

  /// all_gather_v for receive buffers whose places do not fit into MPI's int displacements.
  void gather_by_broadcasts(Bytes send, std::span<std::byte> receive, Counts byte_counts) {
    std::size_t begin = 0;
    for (int root = 0; root < size_; ++root) {
      const std::span<std::byte> part = receive.subspan(begin, byte_counts[static_cast<std::size_t>(root)]);
      if (root == rank_) std::ranges::copy(send, part.begin());
      broadcast_pieces(part, root);
      begin += part.size();
    }
  }

  /// Point to point, because no rank knows whether the counts of all others would fit into MPI_Alltoallv's ints.
  void exchange(Bytes send, Counts send_counts, std::span<std::byte> receive, Counts receive_counts) {
    std::vector<MPI_Request> requests;
    std::size_t begin = 0;
    for (int peer = 0; peer < size_; ++peer) {
      const std::size_t count = receive_counts[static_cast<std::size_t>(peer)];
      for_pieces(peer == rank_ ? 0 : count, max_count_, [&](std::size_t offset, int piece) {
        requests.push_back(MPI_REQUEST_NULL);
        check_mpi(MPI_Irecv(receive.data() + begin + offset, piece, MPI_BYTE, peer, 0, comm_.get(), &requests.back()),
                  "MPI_Irecv", rank_);
      });
      begin += count;
    }
    begin = 0;
    for (int peer = 0; peer < size_; ++peer) {
      const std::size_t count = send_counts[static_cast<std::size_t>(peer)];
      for_pieces(peer == rank_ ? 0 : count, max_count_, [&](std::size_t offset, int piece) {
        requests.push_back(MPI_REQUEST_NULL);
        check_mpi(MPI_Isend(send.data() + begin + offset, piece, MPI_BYTE, peer, 0, comm_.get(), &requests.back()),
                  "MPI_Isend", rank_);
      });
      begin += count;
    }
    copy_own_part(send, send_counts, receive, receive_counts);
    check_mpi(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE), "MPI_Waitall",
              rank_);
  }

  void copy_own_part(Bytes send, Counts send_counts, std::span<std::byte> receive, Counts receive_counts) const {
    const auto own = static_cast<std::ptrdiff_t>(rank_);
    const std::size_t from = std::accumulate(send_counts.begin(), send_counts.begin() + own, std::size_t{0});
    const std::size_t to = std::accumulate(receive_counts.begin(), receive_counts.begin() + own, std::size_t{0});
    const Bytes part = send.subspan(from, send_counts[static_cast<std::size_t>(rank_)]);
    std::ranges::copy(part, receive.subspan(to).begin());
  }

  OwnedComm comm_;
  std::size_t max_count_;
  int rank_;
  int size_ = 1;
  std::string description_;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(std::size_t max_count) {
  auto communicator = std::make_unique<MpiCommunicator>(MPI_COMM_WORLD, max_count);
  const int ranks = communicator->size();
  const int hosts = count_hosts(MPI_COMM_WORLD, communicator->rank());
  communicator->set_description(fmt::format("mpi: {}, {} rank{} on {} host{}", library_name(), ranks,
                                            ranks == 1 ? "" : "s", hosts, hosts == 1 ? "" : "s"));
  return communicator;
}

}  // namespace plsc::comm
