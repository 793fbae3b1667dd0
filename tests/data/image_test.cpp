#include "plsc/data/image.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>

#include "data/errors.h"
#include "support/images.h"

namespace plsc::data {

namespace {

using test::JpegColor;

Image decoded(std::span<const std::byte> bytes) {
  ImageDecoder decoder;
  Image image;
  decoder.decode(bytes, image);
  return image;
}

Error decode_error(std::span<const std::byte> bytes) {
  return test::error_of([&] { decoded(bytes); });
}

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

int largest_difference(const Image& a, const Image& b) {
  REQUIRE(a.height == b.height);
  REQUIRE(a.width == b.width);
  REQUIRE(a.pixels.size() == b.pixels.size());
  int largest = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  return largest;
}

Image gray(const Image& image) {
  Image out = image;
  for (std::size_t i = 0; i < out.pixels.size(); i += 3) {
    const double luminance = 0.299 * image.pixels[i] + 0.587 * image.pixels[i + 1] + 0.114 * image.pixels[i + 2];
    std::fill_n(out.pixels.begin() + static_cast<std::ptrdiff_t>(i), 3,
                static_cast<std::uint8_t>(std::lround(luminance)));
  }
  return out;
}

}  // namespace

TEST_CASE("JPEG of every colour space decodes to the RGB it was made from", "[image]") {
  const Image image = test::make_image(40, 56, 1);

  REQUIRE(largest_difference(decoded(test::encode_jpeg(image)), image) <= 4);
  REQUIRE(largest_difference(decoded(test::encode_jpeg(image, 95, JpegColor::gray)), gray(image)) <= 3);
  REQUIRE(largest_difference(decoded(test::encode_jpeg(image, 95, JpegColor::cmyk)), image) <= 4);
}

TEST_CASE("PNG and BMP decode exactly", "[image]") {
  const Image image = test::make_image(9, 14, 2);

  REQUIRE(largest_difference(decoded(test::encode_png(image)), image) == 0);
  REQUIRE(largest_difference(decoded(test::encode_bmp(image)), image) == 0);
}

TEST_CASE("PPM and PGM decode exactly, grey becomes RGB", "[image]") {
  const Image color = decoded(bytes_of(std::string("P6\n2 1\n255\n") + "\x01\x02\x03\x04\x05\x06"));
  const Image grey = decoded(bytes_of("P5 2 1 255 AB"));

  REQUIRE(color.pixels == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
  REQUIRE(grey.pixels == std::vector<std::uint8_t>{'A', 'A', 'A', 'B', 'B', 'B'});
}

TEST_CASE("a 16-bit PNG keeps the high bytes", "[image]") {
  // 1 x 1, grey, 16 bits, value 0x80C4; written by hand because the encoder in support writes 8 bits.
  const unsigned char png[] = {0x89, 'P', 'N', 'G', 13,  10,   26,   10, 0, 0,   0,    13,   'I', 'H',  'D',  'R', 0, 0,
                               0,    1,   0,   0,   0,   1,    16,   0,  0, 0,   0,    0,    0,   0,    0,    0,   0, 0,
                               14,   'I', 'D', 'A', 'T', 0x78, 0x01, 1,  3, 0,   0xFC, 0xFF, 0,   0x80, 0xC4, 0,   0, 0,
                               0,    0,   0,   0,   0,   0,    0,    0,  0, 'I', 'E',  'N',  'D', 0,    0,    0,   0};

  const Image image = decoded(std::as_bytes(std::span(png)));

  REQUIRE(image.pixels == std::vector<std::uint8_t>{0x80, 0x80, 0x80});
}

TEST_CASE("a decoder works on after an error, and its image memory is reused", "[image]") {
  const std::vector<std::byte> good = test::encode_jpeg(test::make_image(32, 32, 3));
  ImageDecoder decoder;
  Image image;
  decoder.decode(good, image);
  const std::vector<std::uint8_t> before = image.pixels;
  const std::uint8_t* memory = image.pixels.data();

  for (std::size_t size = 1; size < good.size(); ++size) {  // cut in the header, in the tables, in the data
    REQUIRE_THROWS_AS(decoder.decode(std::span(good).first(size), image), Error);
    decoder.decode(good, image);

    REQUIRE(image.pixels == before);
    REQUIRE(image.pixels.data() == memory);
  }
}

TEST_CASE("what cannot be decoded says why", "[image]") {
  const Image image = test::make_image(48, 48, 4);
  const auto truncated = [](std::vector<std::byte> bytes, std::size_t missing) {
    bytes.resize(bytes.size() - missing);
    return bytes;
  };

  REQUIRE_THAT(decode_error({}).message(), Catch::Contains("Cannot decode the image (it is empty)"));
  REQUIRE_THAT(decode_error(bytes_of("this is no image at all")).message(), Catch::Contains("not of any known type"));
  REQUIRE_THAT(decode_error(truncated(test::encode_jpeg(image), 200)).message(),
               Catch::Contains("Cannot decode the JPEG (Premature end of JPEG file)"));
  REQUIRE_THAT(decode_error(bytes_of("\xFF\xD8\xFF")).message(),
               Catch::Contains("Cannot decode the JPEG (it ends before the image data)"));
  for (const auto& bytes : {test::encode_png(image), test::encode_bmp(image)}) {
    REQUIRE_THAT(decode_error(truncated(bytes, 40)).message(), Catch::Contains("the file is truncated"));
    REQUIRE_THAT(decode_error(std::span(bytes).first(20)).message(), Catch::Contains("Cannot decode the image ("));
  }
  REQUIRE_THAT(decode_error(bytes_of("P5 20 20 255 AB")).message(), Catch::Contains("the file is truncated"));
  REQUIRE_THAT(decode_error(bytes_of("P5 1 1 65535 AB")).message(), Catch::Contains("16-bit PGM and PPM"));
  REQUIRE(decode_error({}).code() == ErrorCode::data);
  REQUIRE_THAT(decode_error({}).message(), Catch::Contains("data.on_error=skip"));
}

TEST_CASE("damage in the middle of a JPEG is an error, not a grey patch", "[image]") {
  std::vector<std::byte> jpeg = test::encode_jpeg(test::make_image(64, 64, 5));
  std::fill_n(jpeg.end() - 60, 20, std::byte{0xFF});  // markers where coefficients should be

  REQUIRE_THAT(decode_error(jpeg).message(), Catch::Contains("Cannot decode the JPEG (Corrupt JPEG data"));
}

TEST_CASE("a file that claims an absurd size is refused", "[image]") {
  std::vector<std::byte> jpeg = test::encode_jpeg(test::make_image(16, 16, 6));
  const std::byte start_of_frame[] = {std::byte{0xFF}, std::byte{0xC0}};
  const auto frame = std::search(jpeg.begin(), jpeg.end(), std::begin(start_of_frame), std::end(start_of_frame));
  REQUIRE(frame != jpeg.end());
  std::fill_n(frame + 5, 4, std::byte{0xFE});  // height and width become 65278
  std::vector<std::byte> png = test::encode_png(test::make_image(16, 16, 6));
  png[18] = png[22] = std::byte{0x20};  // 8208 x 8208

  REQUIRE_THAT(decode_error(jpeg).message(), Catch::Contains("it claims 65278 x 65278 pixels, the limit is"));
  REQUIRE_THAT(decode_error(png).message(), Catch::Contains("it claims 8208 x 8208 pixels, the limit is"));
}

TEST_CASE("resizing keeps a smooth image smooth and an equal size untouched", "[image]") {
  const Image image = test::make_image(64, 48, 7);
  Image same = image;
  Image smaller = image;
  Image back = image;
  ResizeBuffers buffers;

  resize(same, 64, 48);
  resize(smaller, 32, 24, buffers);
  resize(back, 32, 24);
  resize(back, 64, 48);

  REQUIRE(same.pixels == image.pixels);
  REQUIRE((smaller.height == 32 && smaller.width == 24 && smaller.pixels.size() == 32 * 24 * 3));
  REQUIRE(largest_difference(back, image) <= 5);
}

TEST_CASE("shrinking averages the area", "[image]") {
  Image stripes{8, 8, std::vector<std::uint8_t>(8 * 8 * 3)};
  for (std::size_t i = 0; i < stripes.pixels.size(); ++i) stripes.pixels[i] = (i / 3) % 2 == 0 ? 0 : 200;

  resize(stripes, 2, 2);

  for (const std::uint8_t value : stripes.pixels) REQUIRE(std::abs(value - 100) <= 20);
}

TEST_CASE("planes are the shifted and mirrored image with repeated edges", "[image]") {
  const Image image = test::make_image(5, 7, 8);
  const int cases[][2] = {{0, 0}, {1, 2}, {-2, -3}, {4, -6}, {0, 7}, {-9, 20}};
  for (const auto& [dy, dx] : cases) {
    for (const bool mirror : {false, true}) {
      std::vector<std::uint8_t> planes(3 * 5 * 7);
      to_planes(image, dy, dx, mirror, planes.data());

      for (int c = 0; c < 3; ++c) {
        for (int y = 0; y < 5; ++y) {
          for (int x = 0; x < 7; ++x) {
            const int source_y = std::clamp(y + dy, 0, 4);
            const int source_x = std::clamp((mirror ? 6 - x : x) + dx, 0, 6);
            REQUIRE(planes[static_cast<std::size_t>((c * 5 + y) * 7 + x)] ==
                    image.pixels[static_cast<std::size_t>((source_y * 7 + source_x) * 3 + c)]);
          }
        }
      }
    }
  }
}

}  // namespace plsc::data
