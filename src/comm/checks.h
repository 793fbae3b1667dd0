#pragma once
// Argument checks that every transport makes, so that a wrong call fails alike with one rank and with many.
// All throw Error{internal}.

#include <cstddef>
#include <cstdint>
#include <span>

#include "plsc/core/shape.h"

namespace plsc::comm {

using Bytes = std::span<const std::byte>;
using Counts = std::span<const std::size_t>;

void check_root(const char* operation, int root, int size);
void check_reducible(const char* operation, DType dtype);
void check_all_gather(Bytes send, Bytes receive, int size);
void check_all_gather_v(Bytes send, Bytes receive, Counts byte_counts, int rank, int size);
void check_reduce_scatter(std::size_t send_elements, std::size_t receive_elements, int size);
void check_all_to_all(Bytes send, Bytes receive, int size);
void check_all_to_all_v(Bytes send, Counts send_counts, Bytes receive, Counts receive_counts, int rank, int size);

}  // namespace plsc::comm
