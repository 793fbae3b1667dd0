#pragma once
// Sampler: which sample stands at a place of the endless training stream (contract C4).

#include <cstdint>

namespace plsc::data {

struct StreamSample {
  std::uint64_t epoch = 0;
  std::uint64_t index = 0;  ///< sample of the source
};

/// A pure function of (seed, position): epoch e covers positions [e*size, (e+1)*size), each sample once.
class Sampler {
 public:
  /// Throws Error{data} for size 0. Without `shuffle` every epoch runs in the source's order.
  Sampler(std::uint64_t size, std::uint64_t seed, bool shuffle);

  StreamSample at(std::uint64_t position) const;

 private:
  std::uint64_t size_;
  std::uint64_t seed_;
  bool shuffle_;
};

}  // namespace plsc::data
