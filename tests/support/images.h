#pragma once
// Made-up images and their files, for tests that need something to decode.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "plsc/data/image.h"

namespace plsc::test {

/// A smooth RGB pattern that differs with `seed`; smooth, so that JPEG keeps it within a few grey levels.
data::Image make_image(int height, int width, std::uint64_t seed);

enum class JpegColor { color, gray, cmyk };

/// cmyk is written as Adobe does (inverted) and decodes to the same RGB; gray writes the luminance.
std::vector<std::byte> encode_jpeg(const data::Image& image, int quality = 95, JpegColor color = JpegColor::color);
std::vector<std::byte> encode_png(const data::Image& image);
std::vector<std::byte> encode_bmp(const data::Image& image);

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace plsc::test
