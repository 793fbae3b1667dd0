#pragma once
// Tile kernels of the sharded classifier.

#include <cstdint>

#include "plsc/core/tensor.h"

namespace plsc::backend {

struct ClassifierTileSpec {
  std::int64_t samples = 0;    ///< N, gathered batch
  std::int64_t embedding = 0;  ///< D
  std::int64_t tile = 0;       ///< T, most rows per call
};

class ClassifierTile {
 public:
  virtual ~ClassifierTile() = default;
};

}  // namespace plsc::backend
