#include "plsc/data/sample_reader.h"

#include "plsc/core/error.h"

namespace plsc::data {

SampleReader::SampleReader(const SampleSource& source, int height, int width)
    : source_(source), height_(height), width_(width) {}

void SampleReader::read(std::uint64_t index, const Augmentation& augmentation, std::uint8_t* planes) {
  with_context([&] { return source_.describe(index); },
               [&] {
                 bytes_.clear();
                 source_.read(index, bytes_);
                 decoder_.decode(bytes_, image_);
                 resize(image_, height_, width_, resize_buffers_);
                 to_planes(image_, augmentation.dy, augmentation.dx, augmentation.mirror, planes);
               });
}

}  // namespace plsc::data
