#include "data/stb_decoder.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "plsc/core/error.h"

namespace {

/// Scratch memory of stb_image_resize: one block per call, kept by the caller.
void* scratch_block(std::size_t bytes, void* context) {
  auto& work = *static_cast<std::vector<std::byte>*>(context);
  if (work.size() < bytes) work.resize(bytes);
  return work.data();
}

}  // namespace

// Only formats whose decoders are sound on damaged files. Zeroed memory: what a damaged file leaves unwritten must not
// differ from run to run.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_PNM
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS (1 << 15)
#define STBI_FAILURE_USERMSG
#define STBI_MALLOC(bytes) std::calloc(1, bytes)
#define STBI_REALLOC(block, bytes) std::realloc(block, bytes)
#define STBI_FREE(block) std::free(block)
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#define STB_IMAGE_RESIZE_STATIC
#define STBIR_MALLOC(bytes, context) scratch_block(bytes, context)
#define STBIR_FREE(block, context) ((void)(block), (void)(context))
#include <stb_image.h>
#include <stb_image_resize.h>

namespace plsc::data {

static_assert(STBI_MAX_DIMENSIONS == kMaxImageSide);

namespace {

/// Feeds stb_image and notices when it reads on after the end, which several of its decoders take for zeros.
struct Feed {
  std::span<const std::byte> bytes;
  std::size_t position = 0;
  bool past_end = false;
};

int feed_read(void* user, char* out, int wanted) {
  constexpr int kRefill = 128;  // stb_image's own buffer: only such reads may come back short
  auto& feed = *static_cast<Feed*>(user);
  const std::size_t rest = feed.bytes.size() - feed.position;
  const std::size_t count = std::min(rest, static_cast<std::size_t>(wanted));
  if (count == 0 || (count < static_cast<std::size_t>(wanted) && wanted != kRefill)) feed.past_end = true;
  if (count > 0) std::memcpy(out, feed.bytes.data() + feed.position, count);
  feed.position += count;
  return static_cast<int>(count);
}

void feed_skip(void* user, int count) {
  auto& feed = *static_cast<Feed*>(user);
  const auto target = static_cast<std::int64_t>(feed.position) + count;
  feed.position =
      static_cast<std::size_t>(std::clamp<std::int64_t>(target, 0, static_cast<std::int64_t>(feed.bytes.size())));
}

int feed_eof(void* user) {
  const auto& feed = *static_cast<Feed*>(user);
  return feed.position == feed.bytes.size() ? 1 : 0;
}

constexpr stbi_io_callbacks kCallbacks = {feed_read, feed_skip, feed_eof};

void check_pnm(std::span<const std::byte> bytes, int height, int width, int channels) {
  if (bytes[0] != std::byte{'P'}) return;
  Feed feed{bytes};
  // stb_image 2.27 converts 16-bit PGM and PPM out of bounds.
  if (stbi_is_16_bit_from_callbacks(&kCallbacks, &feed) != 0) {
    throw_undecodable("image", "16-bit PGM and PPM are not supported");
  }
  const auto raster = static_cast<std::size_t>(height) * static_cast<std::size_t>(width * channels);
  if (raster > bytes.size()) throw_undecodable("image", "the file is truncated");
}

}  // namespace

void throw_undecodable(const char* format, const char* reason) {
  throw Error(ErrorCode::data, std::string("Cannot decode the ") + format + " (" + reason +
                                   "). Replace the file, or set data.on_error=skip to leave such images out.");
}

void check_image_size(std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1 || height > kMaxImageSide || width > kMaxImageSide || height * width > kMaxImagePixels) {
    const std::string reason = "it claims " + std::to_string(width) + " x " + std::to_string(height) +
                               " pixels, the limit is " + std::to_string(kMaxImagePixels) + " pixels and " +
                               std::to_string(kMaxImageSide) + " a side";
    throw_undecodable("image", reason.c_str());
  }
}

void decode_with_stb(std::span<const std::byte> bytes, Image& image) {
  int width = 0;
  int height = 0;
  int channels = 0;
  Feed header{bytes};
  if (stbi_info_from_callbacks(&kCallbacks, &header, &width, &height, &channels) == 0) {
    const std::string reason = header.past_end ? "the file is truncated" : stbi_failure_reason();
    throw_undecodable("image", reason.c_str());
  }
  check_image_size(height, width);
  check_pnm(bytes, height, width, channels);

  Feed feed{bytes};
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load_from_callbacks(&kCallbacks, &feed, &width, &height, &channels, 3), &stbi_image_free);
  if (feed.past_end) throw_undecodable("image", "the file is truncated");
  if (!pixels) throw_undecodable("image", stbi_failure_reason());
  image.height = height;
  image.width = width;
  image.pixels.assign(pixels.get(),
                      pixels.get() + static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
}

void resize(Image& image, int height, int width, ResizeBuffers& buffers) {
  if (image.height == height && image.width == width) return;
  buffers.image.height = height;
  buffers.image.width = width;
  buffers.image.pixels.resize(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
  const int done = stbir_resize_uint8_generic(
      image.pixels.data(), image.width, image.height, 0, buffers.image.pixels.data(), width, height, 0, 3,
      STBIR_ALPHA_CHANNEL_NONE, 0, STBIR_EDGE_CLAMP, STBIR_FILTER_TRIANGLE, STBIR_COLORSPACE_LINEAR, &buffers.work);
  if (done == 0) throw Error(ErrorCode::internal, "stb_image_resize failed (invalid sizes).");
  std::swap(image, buffers.image);
}

void resize(Image& image, int height, int width) {
  ResizeBuffers buffers;
  resize(image, height, width, buffers);
}

}  // namespace plsc::data
