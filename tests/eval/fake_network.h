#pragma once
// A source and a network for tests of evaluation: images whose embedding is known, without any learning.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plsc/data/source.h"
#include "plsc/eval/embedder.h"
#include "support/images.h"

namespace plsc::test {

/// Encoded images with labels, in memory.
class MemorySource final : public data::SampleSource {
 public:
  MemorySource(std::int64_t count, std::int64_t classes, int height, int width) : classes_(classes) {
    for (std::int64_t i = 0; i < count; ++i) {
      images_.push_back(encode_png(make_image(height, width, static_cast<std::uint64_t>(i))));
      labels_.push_back(i % classes);
    }
  }
  std::uint64_t size() const override { return images_.size(); }
  std::int64_t num_classes() const override { return classes_; }
  std::int64_t label(std::uint64_t index) const override { return labels_[index]; }
  void read(std::uint64_t index, std::vector<std::byte>& bytes) const override { bytes = images_[index]; }
  std::string describe(std::uint64_t index) const override { return "memory, image " + std::to_string(index); }

  std::vector<std::vector<std::byte>>& images() { return images_; }
  std::vector<std::int64_t>& labels() { return labels_; }

 private:
  std::vector<std::vector<std::byte>> images_;
  std::vector<std::int64_t> labels_;
  std::int64_t classes_;
};

/// Embedding of one image [3, H, W]: D sums of its pixels under weights that differ by place, so that mirrored images
/// differ and equal images are equal to the last bit.
inline void embed_planes(std::span<const std::uint8_t> planes, std::span<float> out) {
  for (std::size_t d = 0; d < out.size(); ++d) {
    double sum = 0;
    for (std::size_t i = 0; i < planes.size(); ++i) {
      sum += planes[i] * (static_cast<double>((i * 31 + d * 17) % 97) / 97.0 - 0.5);
    }
    out[d] = static_cast<float>(sum);
  }
}

inline eval::EmbedFunction fake_network() {
  return [](const Tensor& images, std::span<float> out) {
    const auto batch = static_cast<std::size_t>(images.shape()[0]);
    const std::span<const std::uint8_t> pixels = images.host_span<std::uint8_t>();
    const std::size_t image = pixels.size() / batch;
    const std::size_t dimension = out.size() / batch;
    for (std::size_t i = 0; i < batch; ++i) {
      embed_planes(pixels.subspan(i * image, image), out.subspan(i * dimension, dimension));
    }
  };
}

inline eval::EmbedOptions small_options() {
  eval::EmbedOptions options;
  options.height = 8;
  options.width = 6;
  options.batch = 4;
  options.dimension = 3;
  options.decode_threads = 2;
  return options;
}

}  // namespace plsc::test
