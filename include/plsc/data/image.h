#pragma once
// Decoding and geometry of images on the host.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace plsc::data {

/// RGB, 8 bits, interleaved rows [height, width, 3].
struct Image {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> pixels;
};

/// Larger images are refused before memory is taken: a header of a few bytes can claim 65535 x 65535 pixels.
inline constexpr std::int64_t kMaxImagePixels = std::int64_t{1} << 26;
inline constexpr int kMaxImageSide = 1 << 15;

/// Decodes JPEG (libjpeg-turbo) and PNG, BMP, PGM, PPM (stb_image); grey, CMYK and palettes become RGB, alpha and
/// EXIF orientation are ignored. Keep one per thread: it owns the decoder state.
class ImageDecoder {
 public:
  ImageDecoder();
  ~ImageDecoder();
  ImageDecoder(const ImageDecoder&) = delete;
  ImageDecoder& operator=(const ImageDecoder&) = delete;

  /// Into `image`, whose memory is reused. Throws Error{data} "... (what is wrong). ..." without file names: callers
  /// add them. A JPEG of which the library only warns (truncated, damaged in the middle) is an error too.
  void decode(std::span<const std::byte> bytes, Image& image);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Memory that resize() reuses between calls.
struct ResizeBuffers {
  Image image;
  std::vector<std::byte> work;
};

/// Scales to height x width when the size differs (triangle filter over the covered area: bilinear when enlarging,
/// antialiased when shrinking); otherwise leaves it alone.
void resize(Image& image, int height, int width, ResizeBuffers& buffers);
void resize(Image& image, int height, int width);

/// Writes the image as [3, H, W] planes into `planes` (3*H*W bytes): output (y, x) is pixel (y + dy, x' + dx), where x'
/// is W - 1 - x if `mirror`, else x; outside the image the nearest edge pixel is taken.
void to_planes(const Image& image, int dy, int dx, bool mirror, std::uint8_t* planes);

}  // namespace plsc::data
