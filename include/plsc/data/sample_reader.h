#pragma once
// SampleReader: one sample of a source as planes of a fixed size. One per thread; its buffers are reused.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plsc/data/augment.h"
#include "plsc/data/image.h"
#include "plsc/data/source.h"

namespace plsc::data {

class SampleReader {
 public:
  /// `source` must outlive the reader.
  SampleReader(const SampleSource& source, int height, int width);

  /// Reads, decodes, resizes and augments sample `index` into `planes`, [3, height, width] RGB u8. Errors carry
  /// source.describe(index) as context; Error{data} means that this sample is bad, any other code that more is wrong.
  void read(std::uint64_t index, const Augmentation& augmentation, std::uint8_t* planes);

 private:
  const SampleSource& source_;
  int height_;
  int width_;
  ImageDecoder decoder_;
  std::vector<std::byte> bytes_;
  Image image_;
  ResizeBuffers resize_buffers_;
};

}  // namespace plsc::data
