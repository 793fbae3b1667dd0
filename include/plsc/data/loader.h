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

/// Share of a global batch: rank r of W takes `size` positions from `begin` on; all ranks pad to `padded`. The first
/// global_batch % W ranks take one position more.
struct BatchShare {
  std::int64_t begin = 0;
  std::int64_t size = 0;
  std::int64_t padded = 0;
};
BatchShare share_of(std::int64_t global_batch, int rank, int world_size);

struct HostBatch {
  Tensor images;                     ///< [B, 3, H, W] u8, RGB, host; rows [valid, B) and skipped ones are zero
  std::vector<std::int64_t> labels;  ///< [B]; -1 = padding or skipped
  std::int64_t valid = 0;            ///< rows at the head of the batch that are stream positions, skipped ones included
};

struct LoaderOptions {
  config::DataConfig data;
  std::uint64_t seed = 0;
  std::int64_t global_batch = 0;
  int rank = 0;
  int world_size = 1;
  std::int64_t first_step = 0;  ///< resume: the step whose batch comes first
  int ranks_on_host = 0;        ///< share the host's cores, for data.workers = 0; 0: all ranks
};

/// Decoding threads that data.workers = 0 stands for: one per four cores of this rank, at least 1, at most 4. One keeps
/// up with a rank that trains on the CPU, where the cores are needed for computing; four feed a fast GPU.
int default_workers(int cores, int ranks_on_host);

class Loader {
 public:
  virtual ~Loader() = default;
  /// The next step's batch; waits for the decoding threads. One caller at a time. The memory of a batch is reused once
  /// all handles on its tensor are gone. An error of any thread arrives here, at the step it belongs to (the lowest row
  /// of that step's), and again at every later call.
  virtual HostBatch next() = 0;
  /// Samples left out of the batches delivered so far because of data.on_error=skip. next() names the first three in
  /// warnings, then counts; it throws when more than half of at least 100 samples had to be left out.
  virtual std::uint64_t skipped() const = 0;
};

/// `source` must outlive the loader. The decoding threads inherit the caller's CPU mask: make the loader before
/// pinning.
std::unique_ptr<Loader> make_loader(const SampleSource& source, const LoaderOptions& options);

}  // namespace plsc::data
