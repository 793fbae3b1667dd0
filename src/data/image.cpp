#include "plsc/data/image.h"

#include <turbojpeg.h>

#include <algorithm>
#include <string>

#include "data/stb_decoder.h"
#include "plsc/core/error.h"

namespace plsc::data {

namespace {

bool is_jpeg(std::span<const std::byte> bytes) {
  return bytes.size() >= 3 && bytes[0] == std::byte{0xFF} && bytes[1] == std::byte{0xD8} && bytes[2] == std::byte{0xFF};
}

/// CMYK as Adobe writes it into JPEG files, inverted: 255 is no ink. out is RGB.
void cmyk_to_rgb(std::span<const std::uint8_t> cmyk, std::vector<std::uint8_t>& rgb) {
  for (std::size_t i = 0, j = 0; i < cmyk.size(); i += 4, j += 3) {
    const unsigned black = cmyk[i + 3];
    for (std::size_t c = 0; c < 3; ++c) rgb[j + c] = static_cast<std::uint8_t>((cmyk[i + c] * black + 127) / 255);
  }
}

/// One row of interleaved pixels from `source` on, `step` bytes apart, into three planes.
void split_pixels(const std::uint8_t* source, std::ptrdiff_t step, int count, std::uint8_t* red, std::uint8_t* green,
                  std::uint8_t* blue) {
  for (int i = 0; i < count; ++i, source += step) {
    red[i] = source[0];
    green[i] = source[1];
    blue[i] = source[2];
  }
}

}  // namespace

struct ImageDecoder::State {
  State() : handle(new_handle()) {}

  static tjhandle new_handle() {
    tjhandle made = tjInitDecompress();
    if (made == nullptr) throw Error(ErrorCode::internal, "libjpeg-turbo does not start (out of memory?).");
    return made;
  }

  void decode_jpeg(std::span<const std::byte> bytes, Image& image);
  [[noreturn]] void give_up();

  struct Destroy {
    void operator()(void* handle) const { tjDestroy(handle); }
  };
  std::unique_ptr<void, Destroy> handle;
  std::vector<std::uint8_t> cmyk;
};

void ImageDecoder::State::decode_jpeg(std::span<const std::byte> bytes, Image& image) {
  const auto* source = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colorspace = 0;
  const int status =
      tjDecompressHeader3(handle.get(), source, bytes.size(), &width, &height, &subsampling, &colorspace);
  const bool tables_only = status == 0 && width == 0;  // also what is left of a file that ends within its header
  if (tables_only) {
    handle.reset(new_handle());
    throw_undecodable("JPEG", "it ends before the image data");
  }
  if (status != 0) give_up();
  check_image_size(height, width);
  image.height = height;
  image.width = width;
  const auto pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  image.pixels.resize(pixels * 3);

  const bool four_colors = colorspace == TJCS_CMYK || colorspace == TJCS_YCCK;
  if (four_colors) cmyk.resize(pixels * 4);
  // STOPONWARNING: truncated or damaged data is a warning to the library, which would make up the missing part.
  if (tjDecompress2(handle.get(), source, bytes.size(), four_colors ? cmyk.data() : image.pixels.data(), width, 0,
                    height, four_colors ? TJPF_CMYK : TJPF_RGB, TJFLAG_STOPONWARNING) != 0) {
    give_up();
  }
  if (four_colors) cmyk_to_rgb(cmyk, image.pixels);
}

/// Throws the library's reason; the next image gets a fresh handle, because the old one keeps traces of a broken file.
void ImageDecoder::State::give_up() {
  const std::string reason = tjGetErrorStr2(handle.get());
  handle.reset(new_handle());
  throw_undecodable("JPEG", reason.c_str());
}

ImageDecoder::ImageDecoder() : state_(std::make_unique<State>()) {}

ImageDecoder::~ImageDecoder() = default;

void ImageDecoder::decode(std::span<const std::byte> bytes, Image& image) {
  if (bytes.empty()) throw_undecodable("image", "it is empty");
  if (is_jpeg(bytes)) {
    state_->decode_jpeg(bytes, image);
  } else {
    decode_with_stb(bytes, image);
  }
}

void to_planes(const Image& image, int dy, int dx, bool mirror, std::uint8_t* planes) {
  const int height = image.height;
  const int width = image.width;
  const std::size_t plane = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  // Of the shifted window, columns [first, last) lie inside the image; the others repeat its edge pixels.
  const int first = std::clamp(-dx, 0, width);
  const int last = std::clamp(width - dx, first, width);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* row = image.pixels.data() + static_cast<std::size_t>(std::clamp(y + dy, 0, height - 1)) *
                                                        static_cast<std::size_t>(width) * 3;
    const auto write = [&](int begin, int end, int source, std::ptrdiff_t step) {  // unmirrored columns [begin, end)
      if (begin == end) return;
      const int out = mirror ? width - end : begin;
      const int from = mirror && step != 0 ? source + end - begin - 1 : source;
      std::uint8_t* red = planes + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + out;
      split_pixels(row + std::ptrdiff_t{3} * from, mirror ? -step : step, end - begin, red, red + plane,
                   red + 2 * plane);
    };
    write(0, first, 0, 0);
    write(first, last, first + dx, 3);
    write(last, width, width - 1, 0);
  }
}

}  // namespace plsc::data
