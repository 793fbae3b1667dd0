#include "data/font.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "plsc/core/error.h"
#include "plsc/core/random.h"

// The only translation unit with stb_truetype. Its asserts are about damaged fonts, which check_font() refuses or which
// it survives with a bounded fallback.
#define STBTT_STATIC
#define STBTT_assert(condition) static_cast<void>(sizeof(condition))
#define STB_TRUETYPE_IMPLEMENTATION
#include <stb_truetype.h>

namespace plsc::data {
namespace {

constexpr float kFlatness = 0.2F;  ///< pixels by which a line may miss its curve

/// Outline points, freed when it goes.
class Shape {
 public:
  Shape(const stbtt_fontinfo& info, int glyph) : info_(info) { count_ = stbtt_GetGlyphShape(&info, glyph, &vertices_); }
  ~Shape() { stbtt_FreeShape(&info_, vertices_); }
  Shape(const Shape&) = delete;
  Shape& operator=(const Shape&) = delete;

  std::span<stbtt_vertex> vertices() const { return {vertices_, static_cast<std::size_t>(std::max(count_, 0))}; }

 private:
  const stbtt_fontinfo& info_;
  stbtt_vertex* vertices_ = nullptr;
  int count_ = 0;
};

std::uint64_t pack(short a, short b, short c, short d) {
  const auto bits = [](short value) { return std::uint64_t{static_cast<std::uint16_t>(value)}; };
  return bits(a) | bits(b) << 16 | bits(c) << 32 | bits(d) << 48;
}

std::uint64_t hash_of(std::span<const stbtt_vertex> vertices) {
  std::uint64_t hash = 1;
  for (const stbtt_vertex& v : vertices) {
    hash = mix64(hash ^ pack(v.x, v.y, v.type == STBTT_vmove ? 0 : v.cx, v.type == STBTT_vmove ? 0 : v.cy));
    hash = mix64(hash ^ v.type);
    if (v.type == STBTT_vcubic) hash = mix64(hash ^ pack(v.cx1, v.cy1, 0, 0));
  }
  return hash == 0 ? 1 : hash;
}

/// Moves outlines to a fine grid of pixels, so that turned glyphs of coarse fonts keep their shape.
class GridTransform {
 public:
  GridTransform(const FontTransform& transform, double grid) : t_(transform), grid_(grid) {}

  void apply(short& x, short& y) const {
    const double px = t_.xx * x + t_.xy * y + t_.x0;
    const double py = t_.yx * x + t_.yy * y + t_.y0;
    x = to_short(px);
    y = to_short(py);
  }

 private:
  short to_short(double pixel) const {
    return static_cast<short>(std::lround(std::clamp(pixel * grid_, -32767.0, 32767.0)));
  }

  FontTransform t_;
  double grid_;
};

}  // namespace

FontFace::FontFace(std::shared_ptr<const FontFile> file, int index)
    : file_(std::move(file)),
      index_(index),
      tables_(check_font(*file_, index)),
      info_(std::make_unique<stbtt_fontinfo>()) {
  if (stbtt_InitFont(info_.get(), file_->bytes().data(), static_cast<int>(file_->face_offset(index))) == 0) {
    throw Error(ErrorCode::data, fmt::format("Font file '{}', face #{}, cannot be drawn (its tables contradict each "
                                             "other). Install the font again or leave the file out.",
                                             file_->path(), index));
  }
  info_->index_map = static_cast<int>(tables_.character_map);
}

FontFace::~FontFace() = default;
FontFace::FontFace(FontFace&&) noexcept = default;
FontFace& FontFace::operator=(FontFace&&) noexcept = default;

int FontFace::glyph_of(char32_t character) const {
  const int glyph = stbtt_FindGlyphIndex(info_.get(), static_cast<int>(character));
  return glyph > 0 && glyph < tables_.num_glyphs ? glyph : 0;
}

GlyphOutline FontFace::outline(int glyph) const {
  GlyphOutline outline;
  const Shape shape(*info_, glyph);
  const auto vertices = shape.vertices();
  if (vertices.empty()) return outline;
  outline.left = outline.right = vertices.front().x;
  outline.bottom = outline.top = vertices.front().y;
  for (const stbtt_vertex& v : vertices) {
    outline.left = std::min<int>(outline.left, v.x);
    outline.right = std::max<int>(outline.right, v.x);
    outline.bottom = std::min<int>(outline.bottom, v.y);
    outline.top = std::max<int>(outline.top, v.y);
  }
  const bool has_area = outline.left < outline.right && outline.bottom < outline.top;
  if (has_area) outline.hash = hash_of(vertices);
  return outline;
}

int FontFace::advance(int glyph) const {
  int advance = 0;
  int bearing = 0;
  stbtt_GetGlyphHMetrics(info_.get(), glyph, &advance, &bearing);
  return advance;
}

void FontFace::draw(int glyph, const FontTransform& transform, int size, std::span<std::uint8_t> pixels) const {
  if (pixels.size() != static_cast<std::size_t>(size) * static_cast<std::size_t>(size)) {
    throw Error(ErrorCode::internal, fmt::format("FontFace::draw: {} pixels for size {}.", pixels.size(), size));
  }
  std::fill(pixels.begin(), pixels.end(), std::uint8_t{0});
  const Shape shape(*info_, glyph);
  const double grid = 16384.0 / size;  // the image takes half of the range of short, twice its size is drawn correctly
  const GridTransform to_grid(transform, grid);
  for (stbtt_vertex& v : shape.vertices()) {
    to_grid.apply(v.x, v.y);
    if (v.type == STBTT_vcurve || v.type == STBTT_vcubic) to_grid.apply(v.cx, v.cy);
    if (v.type == STBTT_vcubic) to_grid.apply(v.cx1, v.cy1);
  }
  stbtt__bitmap bitmap{size, size, size, pixels.data()};
  const auto scale = static_cast<float>(1.0 / grid);
  stbtt_Rasterize(&bitmap, kFlatness, shape.vertices().data(), static_cast<int>(shape.vertices().size()), scale, scale,
                  0, 0, 0, 0, 0, nullptr);
  for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(255 - pixel);
}

}  // namespace plsc::data
