#pragma once
// Communicator: collectives among the ranks of one run. Host memory; counts in elements. Every rank must call the same
// operations in the same order on one communicator; independent streams of work use separate communicators
// (duplicate()), all driven by one thread per rank. Send and receive buffers must not overlap. Results are equal to the
// last bit on all ranks. A peer that vanishes raises Error{comm} or ends the job; nothing waits for ever on a rank that
// reported an error (see abort()).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plsc/core/shape.h"

namespace plsc::comm {

enum class ReduceOp { sum, max, min };

/// An operation in flight. Its buffer belongs to the operation until test() is true or wait() returned; its
/// communicator must outlive it. Destroying an unfinished handle waits for it, except while an exception is on its way:
/// then peers may never join in, so the handle is abandoned and the communicator must not be used again.
class Request {
 public:
  virtual ~Request() = default;
  virtual bool test() = 0;  ///< true once finished; gives the transport a chance to progress
  virtual void wait() = 0;
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual std::string description() const = 0;  ///< "mpi: Open MPI 4.1.4, 4 ranks on 1 host"

  virtual void barrier() = 0;
  virtual void broadcast(std::span<std::byte> data, int root) = 0;
  /// In place. dtype f32, f64, i32 or i64; max and min of NaN are unspecified.
  virtual void all_reduce(void* data, std::size_t count, DType dtype, ReduceOp op) = 0;
  virtual std::unique_ptr<Request> all_reduce_async(void* data, std::size_t count, DType dtype, ReduceOp op) = 0;
  /// Every rank gives send.size() bytes (equal on all); receive holds size() times as many, in rank order.
  virtual void all_gather(std::span<const std::byte> send, std::span<std::byte> receive) = 0;
  /// Unequal parts: byte_counts[r] bytes from rank r, in rank order; known to all ranks.
  virtual void all_gather_v(std::span<const std::byte> send, std::span<std::byte> receive,
                            std::span<const std::size_t> byte_counts) = 0;
  /// send holds size() parts of receive.size() elements; rank r receives the sum over ranks of part r.
  virtual void reduce_scatter(std::span<const float> send, std::span<float> receive) = 0;
  /// Part r of send goes to rank r; equal parts.
  virtual void all_to_all(std::span<const std::byte> send, std::span<std::byte> receive) = 0;
  virtual void all_to_all_v(std::span<const std::byte> send, std::span<const std::size_t> send_counts,
                            std::span<std::byte> receive, std::span<const std::size_t> receive_counts) = 0;

  /// A communicator of the same ranks whose traffic never mixes with this one's. Collective.
  virtual std::unique_ptr<Communicator> duplicate() = 0;

  /// Ends the whole job with this exit code, at once, on every launcher. Called after the message was printed.
  [[noreturn]] virtual void abort(int exit_code) = 0;

  // ---- typed conveniences ----
  template <class T>
  T all_reduce_value(T value, ReduceOp op) {
    all_reduce(&value, 1, dtype_of<T>(), op);
    return value;
  }
  template <class T>
  void all_reduce(std::span<T> values, ReduceOp op) {
    all_reduce(values.data(), values.size(), dtype_of<T>(), op);
  }
  template <class T>
  std::vector<T> all_gather_values(const T& value) {
    std::vector<T> all(static_cast<std::size_t>(size()));
    all_gather(std::as_bytes(std::span(&value, 1)), std::as_writable_bytes(std::span(all)));
    return all;
  }
  /// Text from `root` to every rank.
  std::string broadcast_text(const std::string& text, int root);
  /// Texts of unequal length from every rank, in rank order, on every rank.
  std::vector<std::string> all_gather_text(const std::string& text);

 private:
  template <class T>
  static constexpr DType dtype_of() {
    if constexpr (std::is_same_v<T, float>)
      return DType::f32;
    else if constexpr (std::is_same_v<T, double>)
      return DType::f64;
    else if constexpr (std::is_same_v<T, std::int32_t>)
      return DType::i32;
    else {
      static_assert(std::is_same_v<T, std::int64_t>, "Communicator: unsupported element type");
      return DType::i64;
    }
  }
};

}  // namespace plsc::comm
