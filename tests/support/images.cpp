#include "support/images.h"

#include <turbojpeg.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "plsc/core/random.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_image_write.h>

namespace plsc::test {

namespace {

void append(void* context, void* data, int size) {
  auto& bytes = *static_cast<std::vector<std::byte>*>(context);
  const auto* begin = static_cast<const std::byte*>(data);
  bytes.insert(bytes.end(), begin, begin + size);
}

/// Inverted CMYK (255 is no ink) without black: C, M, Y are R, G, B.
std::vector<std::uint8_t> inverted_cmyk(const data::Image& image) {
  std::vector<std::uint8_t> cmyk;
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    cmyk.insert(cmyk.end(), {image.pixels[i], image.pixels[i + 1], image.pixels[i + 2], 255});
  }
  return cmyk;
}

}  // namespace

data::Image make_image(int height, int width, std::uint64_t seed) {
  CounterRng rng(seed, RandomPurpose::test, 0);
  data::Image image{height, width, {}};
  image.pixels.resize(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
  double slope_y[3];
  double slope_x[3];
  double start[3];
  for (int c = 0; c < 3; ++c) {
    start[c] = 60 + 60 * rng.uniform();
    slope_y[c] = 120 * (rng.uniform() - 0.2) / height;
    slope_x[c] = 120 * (rng.uniform() - 0.2) / width;
  }
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double value = std::clamp(start[c] + slope_y[c] * y + slope_x[c] * x, 0.0, 255.0);
        image.pixels[static_cast<std::size_t>((y * width + x) * 3 + c)] = static_cast<std::uint8_t>(std::lround(value));
      }
    }
  }
  return image;
}

std::vector<std::byte> encode_jpeg(const data::Image& image, int quality, JpegColor color) {
  const std::unique_ptr<void, decltype(&tjDestroy)> handle(tjInitCompress(), &tjDestroy);
  const bool cmyk = color == JpegColor::cmyk;
  const std::vector<std::uint8_t> pixels = cmyk ? inverted_cmyk(image) : image.pixels;
  unsigned char* jpeg = nullptr;
  unsigned long size = 0;
  const int status = tjCompress2(handle.get(), pixels.data(), image.width, 0, image.height, cmyk ? TJPF_CMYK : TJPF_RGB,
                                 &jpeg, &size, color == JpegColor::gray ? TJSAMP_GRAY : TJSAMP_420, quality, 0);
  const std::unique_ptr<unsigned char, decltype(&tjFree)> owner(jpeg, &tjFree);
  if (status != 0) throw std::runtime_error("cannot write a JPEG");
  const auto* begin = reinterpret_cast<const std::byte*>(jpeg);
  return {begin, begin + size};
}

std::vector<std::byte> encode_png(const data::Image& image) {
  std::vector<std::byte> bytes;
  stbi_write_png_to_func(append, &bytes, image.width, image.height, 3, image.pixels.data(), image.width * 3);
  return bytes;
}

std::vector<std::byte> encode_bmp(const data::Image& image) {
  std::vector<std::byte> bytes;
  stbi_write_bmp_to_func(append, &bytes, image.width, image.height, 3, image.pixels.data());
  return bytes;
}

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  write_file(path, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace plsc::test
