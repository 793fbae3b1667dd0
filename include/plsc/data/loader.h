#pragma once
// Loader: the training stream of one rank (contract C4). Step s takes stream positions [s*G, (s+1)*G) of an endless
// stream that runs through epoch after epoch; this rank's share of each step comes as one fixed-size batch, padded with
// label -1. Pure function of (seed, position): any number of ranks sees the same samples with the same augmentation.

#include <cstdint>
#include <memory>
#include <vector>

#include "plsc/config/config.h"
#include "plsc/core/tensor.h"
#include "plsc/data/source.h"

namespace plsc::data {

/// Share of a global batch: rank r of W takes `size` positions from `begin` on; all ranks pad to `padded`.
struct BatchShare {
  std::int64_t begin = 0;
  std::int64_t size = 0;
  std::int64_t padded = 0;
};
BatchShare share_of(std::int64_t global_batch, int rank, int world_size);

struct HostBatch {
  Tensor images;                     ///< [B, 3, H, W] u8, RGB, host; rows [valid, B) are zero
  std::vector<std::int64_t> labels;  ///< [B]; -1 = padding or skipped
  std::int64_t valid = 0;            ///< samples at the head of the batch that count
};

struct LoaderOptions {
  config::DataConfig data;
  std::uint64_t seed = 0;
  std::int64_t global_batch = 0;
  int rank = 0;
  int world_size = 1;
  std::int64_t first_step = 0;  ///< resume: the step whose batch comes first
};

class Loader {
 public:
  virtual ~Loader() = default;
  /// The next step's batch; waits for the decoding threads. Errors of any thread arrive here.
  virtual HostBatch next() = 0;
  virtual std::uint64_t skipped() const = 0;  ///< samples left out so far because of data.on_error=skip
};

/// `source` must outlive the loader.
std::unique_ptr<Loader> make_loader(const SampleSource& source, const LoaderOptions& options);

}  // namespace plsc::data
