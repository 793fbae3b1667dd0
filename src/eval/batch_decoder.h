#pragma once
// Decodes the images of a range in threads, straight into batch tensors, a few batches ahead of the reader.

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "plsc/core/tensor.h"
#include "plsc/data/image.h"
#include "plsc/eval/embedder.h"

namespace plsc::eval {

struct DecodedBatch {
  Tensor images;    ///< [B, 3, H, W] u8; rows behind the last image are zero
  Tensor mirrored;  ///< the same mirrored; undefined without flip
};

class BatchDecoder {
 public:
  /// `set` must outlive the decoder.
  BatchDecoder(const ImageSet& set, ImageRange range, const EmbedOptions& options);
  ~BatchDecoder();
  BatchDecoder(const BatchDecoder&) = delete;
  BatchDecoder& operator=(const BatchDecoder&) = delete;

  /// Waits for the next batch; valid until the following call. Rethrows the error of the first image that failed.
  const DecodedBatch& next();

 private:
  static constexpr std::int64_t kSlots = 3;  // one being read, two being filled

  struct Tools {  // one set per thread, reused
    data::ImageDecoder decoder;
    data::Image image;
    data::ResizeBuffers resize;
    std::vector<std::byte> bytes;
  };

  void work();
  bool claim(std::int64_t& index);
  void decode(std::int64_t index, Tools& tools);
  void finish(std::int64_t index);
  void fail(std::int64_t index, std::exception_ptr error);
  std::int64_t batch_size(std::int64_t batch) const;
  void stop();

  const ImageSet& set_;
  const ImageRange range_;
  const std::int64_t batch_;
  const int height_;
  const int width_;
  std::array<DecodedBatch, kSlots> slots_;

  std::mutex mutex_;
  std::condition_variable ready_;               ///< a batch is complete, or an image failed
  std::condition_variable free_;                ///< a slot may be overwritten
  std::array<std::int64_t, kSlots> pending_{};  ///< images of the slot that are not decoded yet
  std::int64_t claimed_ = 0;                    ///< images handed to threads
  std::int64_t served_ = 0;                     ///< batches that next() returned
  std::int64_t released_ = 0;                   ///< batches whose slot may be overwritten
  bool stopping_ = false;
  std::int64_t failed_index_ = -1;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};

}  // namespace plsc::eval
