#include "plsc/data/sampler.h"

#include "plsc/core/error.h"
#include "plsc/core/random.h"

namespace plsc::data {

Sampler::Sampler(std::uint64_t size, std::uint64_t seed, bool shuffle) : size_(size), seed_(seed), shuffle_(shuffle) {
  if (size == 0) throw Error(ErrorCode::data, "There is nothing to train on (0 samples). Check the data set.");
}

StreamSample Sampler::at(std::uint64_t position) const {
  const std::uint64_t epoch = position / size_;
  const std::uint64_t place = position % size_;
  return {epoch, shuffle_ ? Permutation(size_, seed_, epoch)(place) : place};
}

}  // namespace plsc::data
