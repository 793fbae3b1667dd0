#pragma once
// Random changes of a training image, drawn from the sample's place in the stream (contract C3).

#include <cstdint>

namespace plsc::data {

/// As to_planes() applies it.
struct Augmentation {
  int dy = 0;
  int dx = 0;
  bool mirror = false;
};

/// A pure function of (seed, sample index, stream position): mirrored with probability 1/2 if `flip`; dy and dx uniform
/// in [-random_crop, random_crop]. Switching one of them on or off does not change what the other draws.
Augmentation draw_augmentation(std::uint64_t seed, std::uint64_t index, std::uint64_t position, bool flip,
                               int random_crop);

}  // namespace plsc::data
