#include "plsc/comm/communicator.h"

#include <numeric>

namespace plsc::comm {

namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace

std::string Communicator::broadcast_text(const std::string& text, int root) {
  auto length = static_cast<std::int64_t>(text.size());
  broadcast(std::as_writable_bytes(std::span(&length, 1)), root);
  std::string received = rank() == root ? text : std::string(static_cast<std::size_t>(length), '\0');
  broadcast(std::as_writable_bytes(std::span(received)), root);
  return received;
}

std::vector<std::string> Communicator::all_gather_text(const std::string& text) {
  const std::vector<std::size_t> lengths = all_gather_values(text.size());
  std::string joined(std::accumulate(lengths.begin(), lengths.end(), std::size_t{0}), '\0');
  all_gather_v(bytes_of(text), std::as_writable_bytes(std::span(joined)), lengths);

  std::vector<std::string> texts;
  std::size_t begin = 0;
  for (const std::size_t length : lengths) {
    texts.push_back(joined.substr(begin, length));
    begin += length;
  }
  return texts;
}

}  // namespace plsc::comm
