#include "plsc/data/augment.h"

#include "plsc/core/random.h"

namespace plsc::data {

Augmentation draw_augmentation(std::uint64_t seed, std::uint64_t index, std::uint64_t position, bool flip,
                               int random_crop) {
  CounterRng rng(seed, RandomPurpose::augment, index, position);
  const bool heads = (rng.next_u64() & 1) != 0;
  Augmentation augmentation;
  augmentation.mirror = flip && heads;
  if (random_crop > 0) {
    const auto places = 2 * static_cast<std::uint64_t>(random_crop) + 1;
    augmentation.dy = static_cast<int>(rng.below(places)) - random_crop;
    augmentation.dx = static_cast<int>(rng.below(places)) - random_crop;
  }
  return augmentation;
}

}  // namespace plsc::data
