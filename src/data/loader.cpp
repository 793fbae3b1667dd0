#include "plsc/data/loader.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "data/skip_log.h"
#include "plsc/core/error.h"
#include "plsc/data/augment.h"
#include "plsc/data/sample_reader.h"
#include "plsc/data/sampler.h"

namespace plsc::data {

namespace {

/// Cores that this process may use.
int available_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(CPU_COUNT(&set), 1);
  return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
}

void require(bool ok, const std::string& problem, const std::string& what_to_do) {
  if (!ok) throw Error(ErrorCode::config, fmt::format("{}. {}.", problem, what_to_do));
}

LoaderOptions checked(LoaderOptions options) {
  config::DataConfig& data = options.data;
  require(options.global_batch > 0, fmt::format("The global batch is empty (it is {})", options.global_batch),
          "Set train.global_batch to 1 or more");
  require(data.prefetch > 0, fmt::format("No batch may be prefetched (data.prefetch is {})", data.prefetch),
          "Set data.prefetch to 1 or more");
  require(data.workers >= 0,
          fmt::format("The number of decoding threads is negative (data.workers is {})", data.workers),
          "Set data.workers to 0 (automatic) or more");
  require(data.height > 0 && data.width > 0,
          fmt::format("The images have no pixels (data.height is {}, data.width is {})", data.height, data.width),
          "Set both to 1 or more");
  require(data.random_crop >= 0, fmt::format("The crop shift is negative (data.random_crop is {})", data.random_crop),
          "Set data.random_crop to 0 (off) or more");
  if (options.rank < 0 || options.rank >= options.world_size || options.first_step < 0) {
    throw Error(ErrorCode::internal, fmt::format("loader for rank {} of {}, first step {}.", options.rank,
                                                 options.world_size, options.first_step));
  }
  if (data.workers == 0) {
    const int neighbours = options.ranks_on_host > 0 ? options.ranks_on_host : options.world_size;
    data.workers = default_workers(available_cores(), neighbours);
  }
  return options;
}

struct RowFailure {
  std::int64_t row;
  Error error;
};

/// One step's batch while it is filled. `images`, `labels` and `step` are set under the mutex before rows are handed
/// out; then each row belongs to the worker that took it. The rest is guarded by the mutex.
struct Slot {
  std::int64_t step = -1;
  Tensor images;
  std::vector<std::int64_t> labels;
  std::int64_t open_rows = 0;  ///< not yet filled
  std::vector<RowFailure> failures;
};

class PrefetchingLoader final : public Loader {
 public:
  PrefetchingLoader(const SampleSource& source, const LoaderOptions& options);
  ~PrefetchingLoader() override = default;
  HostBatch next() override;
  std::uint64_t skipped() const override { return skip_log_.skipped(); }

 private:
  struct Rows {
    Slot* slot;
    std::int64_t begin;
    std::int64_t end;
  };

  void work(const std::stop_token& stop);
  std::optional<Rows> take_rows(const std::stop_token& stop);
  void begin_step(Slot& slot);
  Tensor free_images();
  void fill(const Rows& rows, SampleReader& reader, std::vector<RowFailure>& failures) const;
  void fill_row(Slot& slot, std::int64_t row, SampleReader& reader) const;
  void hand_in(const Rows& rows, std::vector<RowFailure>& failures);
  bool may_skip(const Error& error) const;
  [[noreturn]] void stop_with(Error error);
  Slot& slot_of(std::int64_t step) { return ring_[static_cast<std::size_t>(step) % ring_.size()]; }
  std::size_t image_bytes() const {
    return std::size_t{3} * static_cast<std::size_t>(options_.data.height) *
           static_cast<std::size_t>(options_.data.width);
  }

  const SampleSource& source_;
  const LoaderOptions options_;
  const Sampler sampler_;
  const BatchShare share_;
  const std::int64_t rows_at_once_;

  std::mutex mutex_;
  std::condition_variable_any work_to_do_;
  std::condition_variable step_done_;
  std::vector<Slot> ring_;     ///< step s is filled in ring_[s % size]
  std::vector<Tensor> pool_;   ///< image memory that goes round
  std::int64_t next_step_;     ///< what next() delivers
  std::int64_t filling_step_;  ///< what workers take rows of, from filling_row_ on
  std::int64_t filling_row_ = 0;
  bool failing_ = false;  ///< some step failed: no further step is begun

  SkipLog skip_log_;  ///< consumer's side only, like the failure that ended the stream
  std::optional<Error> failure_;

  std::vector<std::jthread> workers_;  ///< last: joined before anything that they use goes
};

PrefetchingLoader::PrefetchingLoader(const SampleSource& source, const LoaderOptions& options)
    : source_(source),
      options_(checked(options)),
      sampler_(source.size(), options.seed, options.data.shuffle),
      share_(share_of(options.global_batch, options.rank, options.world_size)),
      rows_at_once_(std::clamp<std::int64_t>(share_.size / (4 * options_.data.workers), 1, 16)),
      ring_(static_cast<std::size_t>(options.data.prefetch)),
      next_step_(options.first_step),
      filling_step_(options.first_step) {
  for (int i = 0; i < options_.data.workers; ++i) {
    workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
}

HostBatch PrefetchingLoader::next() {
  if (failure_) throw Error(*failure_);
  HostBatch batch;
  std::vector<RowFailure> failures;
  {
    std::unique_lock lock(mutex_);
    Slot& slot = slot_of(next_step_);
    step_done_.wait(lock, [&] { return slot.step == next_step_ && slot.open_rows == 0; });
    batch.images = std::move(slot.images);
    batch.labels = std::move(slot.labels);
    failures.swap(slot.failures);
    ++next_step_;
  }
  work_to_do_.notify_all();
  batch.valid = share_.size;

  std::sort(failures.begin(), failures.end(), [](const RowFailure& a, const RowFailure& b) { return a.row < b.row; });
  const auto fatal = std::find_if(failures.begin(), failures.end(),
                                  [&](const RowFailure& failure) { return !may_skip(failure.error); });
  if (fatal != failures.end()) stop_with(std::move(fatal->error));
  for (const RowFailure& failure : failures) skip_log_.add(failure.error);
  try {
    skip_log_.check(share_.size);
  } catch (const Error& error) {
    stop_with(error);
  }
  return batch;
}

void PrefetchingLoader::stop_with(Error error) {
  for (std::jthread& worker : workers_) worker.request_stop();
  workers_.clear();  // joins
  error.add_context(fmt::format("rank {}, batch of step {}", options_.rank, next_step_ - 1));
  failure_ = error;
  throw error;
}

void PrefetchingLoader::work(const std::stop_token& stop) {
  std::optional<SampleReader> reader;
  while (const std::optional<Rows> rows = take_rows(stop)) {
    std::vector<RowFailure> failures;
    try {
      if (!reader) reader.emplace(source_, options_.data.height, options_.data.width);
      fill(*rows, *reader, failures);
    } catch (const Error& error) {
      failures.push_back({rows->begin, error});
    } catch (const std::exception& error) {
      failures.push_back({rows->begin, Error(ErrorCode::internal, fmt::format("Decoding failed ({}).", error.what()))});
    }
    hand_in(*rows, failures);
  }
}

/// Waits until a row may be filled; nothing once the loader goes.
std::optional<PrefetchingLoader::Rows> PrefetchingLoader::take_rows(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  for (;;) {
    const bool ready = work_to_do_.wait(lock, stop, [&] {
      const bool inside_step = filling_row_ > 0;
      return inside_step || (!failing_ && filling_step_ < next_step_ + options_.data.prefetch);
    });
    if (!ready || stop.stop_requested()) return std::nullopt;
    Slot& slot = slot_of(filling_step_);
    if (filling_row_ == 0) begin_step(slot);
    const std::int64_t begin = filling_row_;
    const std::int64_t end = begin + std::min(rows_at_once_, slot.open_rows > 0 ? share_.size - begin : 0);
    filling_row_ = end;
    if (end == share_.size || begin == end) {
      ++filling_step_;
      filling_row_ = 0;
    }
    if (begin < end) return Rows{&slot, begin, end};
    step_done_.notify_one();  // nothing to fill: this rank has no share of the batch, or there was no memory for it
  }
}

/// Under the mutex: memory for the step, padding cleared, all labels -1. Without memory the step is done and failed.
void PrefetchingLoader::begin_step(Slot& slot) {
  slot.step = filling_step_;
  slot.open_rows = share_.size;
  try {
    slot.labels.assign(static_cast<std::size_t>(share_.padded), -1);
    slot.images = free_images();
  } catch (const std::bad_alloc&) {
    slot.open_rows = 0;
    slot.failures.push_back({0, Error(ErrorCode::io,
                                      "No memory for a batch (host memory is full). Lower data.prefetch "
                                      "or train.global_batch.")});
    failing_ = true;
    return;
  }
  const auto valid = static_cast<std::size_t>(share_.size);
  const auto padding = static_cast<std::size_t>(share_.padded) - valid;
  if (padding > 0) std::memset(slot.images.data<std::uint8_t>() + valid * image_bytes(), 0, padding * image_bytes());
}

/// Memory whose last batch the consumer has let go, or else new memory; the pool itself stays bounded.
Tensor PrefetchingLoader::free_images() {
  for (const Tensor& images : pool_) {
    if (images.use_count() == 1) return images;
  }
  Tensor images(heap_memory(), Shape{share_.padded, 3, options_.data.height, options_.data.width}, DType::u8);
  constexpr std::size_t kHeldByConsumer = 2;  // the batch in use, and the one before it until it is overwritten
  if (pool_.size() < ring_.size() + kHeldByConsumer) pool_.push_back(images);
  return images;
}

void PrefetchingLoader::fill(const Rows& rows, SampleReader& reader, std::vector<RowFailure>& failures) const {
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    try {
      fill_row(*rows.slot, row, reader);
    } catch (const Error& error) {
      failures.push_back({row, error});
      std::memset(rows.slot->images.data<std::uint8_t>() + static_cast<std::size_t>(row) * image_bytes(), 0,
                  image_bytes());
    }
  }
}

void PrefetchingLoader::fill_row(Slot& slot, std::int64_t row, SampleReader& reader) const {
  const config::DataConfig& data = options_.data;
  const auto position = static_cast<std::uint64_t>(slot.step * options_.global_batch + share_.begin + row);
  const std::uint64_t index = sampler_.at(position).index;
  const Augmentation augmentation = draw_augmentation(options_.seed, index, position, data.flip, data.random_crop);
  reader.read(index, augmentation, slot.images.data<std::uint8_t>() + static_cast<std::size_t>(row) * image_bytes());
  slot.labels[static_cast<std::size_t>(row)] = source_.label(index);
}

void PrefetchingLoader::hand_in(const Rows& rows, std::vector<RowFailure>& failures) {
  bool done = false;
  {
    const std::scoped_lock lock(mutex_);
    for (RowFailure& failure : failures) {
      failing_ = failing_ || !may_skip(failure.error);
      rows.slot->failures.push_back(std::move(failure));
    }
    rows.slot->open_rows -= rows.end - rows.begin;
    done = rows.slot->open_rows == 0;
  }
  if (done) step_done_.notify_one();
}

bool PrefetchingLoader::may_skip(const Error& error) const {
  return options_.data.on_error == config::OnError::skip && error.code() == ErrorCode::data;
}

}  // namespace

BatchShare share_of(std::int64_t global_batch, int rank, int world_size) {
  const std::int64_t base = global_batch / world_size;
  const std::int64_t longer = global_batch % world_size;  // ranks with one position more
  return {rank * base + std::min<std::int64_t>(rank, longer), base + (rank < longer ? 1 : 0),
          base + (longer > 0 ? 1 : 0)};
}

int default_workers(int cores, int ranks_on_host) { return std::clamp(cores / std::max(ranks_on_host, 1) / 4, 1, 4); }

std::unique_ptr<Loader> make_loader(const SampleSource& source, const LoaderOptions& options) {
  return std::make_unique<PrefetchingLoader>(source, options);
}

}  // namespace plsc::data
