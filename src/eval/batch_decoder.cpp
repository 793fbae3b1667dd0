#include "eval/batch_decoder.h"

#include <algorithm>
#include <utility>

#include "plsc/core/error.h"

namespace plsc::eval {

BatchDecoder::BatchDecoder(const ImageSet& set, ImageRange range, const EmbedOptions& options)
    : set_(set), range_(range), batch_(options.batch), height_(options.height), width_(options.width) {
  const Shape shape{batch_, 3, height_, width_};
  for (std::int64_t slot = 0; slot < kSlots; ++slot) {
    auto& [images, mirrored] = slots_[static_cast<std::size_t>(slot)];
    images = Tensor(heap_memory(), shape, DType::u8);
    if (options.flip) mirrored = Tensor(heap_memory(), shape, DType::u8);
    pending_[static_cast<std::size_t>(slot)] = batch_size(slot);
  }
  const auto count = std::min<std::int64_t>(options.decode_threads, std::max<std::int64_t>(1, range_.size));
  try {
    for (std::int64_t i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
  } catch (...) {
    stop();
    throw;
  }
}

BatchDecoder::~BatchDecoder() { stop(); }

void BatchDecoder::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  free_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::int64_t BatchDecoder::batch_size(std::int64_t batch) const {
  return std::clamp<std::int64_t>(range_.size - batch * batch_, 0, batch_);
}

const DecodedBatch& BatchDecoder::next() {
  std::unique_lock lock(mutex_);
  if (served_ > released_) {
    pending_[static_cast<std::size_t>(released_ % kSlots)] = batch_size(released_ + kSlots);
    ++released_;
    free_.notify_all();
  }
  const auto slot = static_cast<std::size_t>(served_ % kSlots);
  ready_.wait(lock, [&] { return pending_[slot] == 0 || error_ != nullptr; });
  if (pending_[slot] != 0) {
    // Threads still at work may hold an earlier image that fails, too; the first one is to be reported.
    lock.unlock();
    stop();
    std::rethrow_exception(error_);
  }
  ++served_;
  return slots_[slot];
}

void BatchDecoder::work() {
  Tools tools;
  for (std::int64_t index = 0; claim(index);) {
    try {
      decode(index, tools);
    } catch (...) {
      return fail(index, std::current_exception());
    }
    finish(index);
  }
}

/// The next image whose slot is free; false when there is none left.
bool BatchDecoder::claim(std::int64_t& index) {
  std::unique_lock lock(mutex_);
  if (stopping_ || claimed_ == range_.size) return false;
  index = claimed_++;
  const std::int64_t batch = index / batch_;
  free_.wait(lock, [&] { return stopping_ || batch < released_ + kSlots; });
  return !stopping_;
}

void BatchDecoder::decode(std::int64_t index, Tools& tools) {
  const std::int64_t source = range_.begin + index;
  tools.bytes.clear();
  with_context([&] { return set_.describe(source); },
               [&] {
                 set_.read(source, tools.bytes);
                 tools.decoder.decode(tools.bytes, tools.image);
                 data::resize(tools.image, height_, width_, tools.resize);
               });

  const DecodedBatch& slot = slots_[static_cast<std::size_t>(index / batch_ % kSlots)];
  const std::int64_t row = index % batch_;
  const std::int64_t valid = batch_size(index / batch_);
  const std::int64_t image_bytes = std::int64_t{3} * height_ * width_;
  for (const auto& [tensor, mirror] : {std::pair{&slot.images, false}, std::pair{&slot.mirrored, true}}) {
    if (!tensor->defined()) continue;
    auto* planes = tensor->data<std::uint8_t>();
    data::to_planes(tools.image, 0, 0, mirror, planes + row * image_bytes);
    if (row == 0) std::fill(planes + valid * image_bytes, planes + batch_ * image_bytes, std::uint8_t{0});
  }
}

void BatchDecoder::finish(std::int64_t index) {
  const std::lock_guard lock(mutex_);
  if (--pending_[static_cast<std::size_t>(index / batch_ % kSlots)] == 0) ready_.notify_one();
}

void BatchDecoder::fail(std::int64_t index, std::exception_ptr error) {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  if (error_ == nullptr || index < failed_index_) {
    failed_index_ = index;
    error_ = std::move(error);
  }
  free_.notify_all();
  ready_.notify_one();
}

}  // namespace plsc::eval
