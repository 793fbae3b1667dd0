#pragma once
// stb_image and stb_image_resize behind plain functions; their implementations live in stb_decoder.cpp.

#include <cstddef>
#include <span>

#include "plsc/data/image.h"

namespace plsc::data {

/// PNG, BMP, PGM or PPM into RGB. Throws Error{data}.
void decode_with_stb(std::span<const std::byte> bytes, Image& image);

/// Throws Error{data} when the claimed size is absurd.
void check_image_size(std::int64_t height, std::int64_t width);

/// A decoder's complaint as an Error{data}.
[[noreturn]] void throw_undecodable(const char* format, const char* reason);

}  // namespace plsc::data
