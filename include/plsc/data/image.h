#pragma once
// Decoding and geometry of images on the host.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace plsc::data {

/// RGB, 8 bits, interleaved rows [height, width, 3].
struct Image {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> pixels;
};

/// Decodes JPEG (libjpeg-turbo) or anything else stb_image reads. Keep one per thread: it owns the decoder state.
class ImageDecoder {
 public:
  ImageDecoder();
  ~ImageDecoder();
  ImageDecoder(const ImageDecoder&) = delete;
  ImageDecoder& operator=(const ImageDecoder&) = delete;

  /// Into `image`, whose memory is reused. Throws Error{data} "... (what is wrong)" without file names: callers add them.
  void decode(std::span<const std::byte> bytes, Image& image);

 private:
  struct State;
  State* state_;
};

/// Scales to height x width when the size differs (area-weighted, stb_image_resize); otherwise leaves it alone.
void resize(Image& image, int height, int width);

/// Writes the image as [3, H, W] planes into `planes` (3*H*W bytes), shifted by (dy, dx) with repeated edges, mirrored
/// on request.
void to_planes(const Image& image, int dy, int dx, bool mirror, std::uint8_t* planes);

}  // namespace plsc::data
