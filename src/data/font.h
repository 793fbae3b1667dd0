#pragma once
// One face of a font file: which glyph draws a character, how large it is, and its picture.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "data/font_check.h"
#include "data/font_file.h"

struct stbtt_fontinfo;

namespace plsc::data {

/// pixel x = xx * x + xy * y + x0, pixel y = yx * x + yy * y + y0 with (x, y) in font units, y upwards; pixel y
/// downwards.
struct FontTransform {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = -1, y0 = 0;
};

/// Outline of a glyph in font units. hash == 0: nothing is drawn.
struct GlyphOutline {
  std::uint64_t hash = 0;  ///< equal outlines have equal hashes
  int left = 0, right = 0, bottom = 0, top = 0;
};

/// Safe to use from many threads.
class FontFace {
 public:
  /// Checks the face. Throws Error{usage|data}.
  FontFace(std::shared_ptr<const FontFile> file, int index);
  ~FontFace();
  FontFace(FontFace&&) noexcept;
  FontFace& operator=(FontFace&&) noexcept;

  const FontFile& file() const { return *file_; }
  int index() const { return index_; }
  const std::string& family() const { return tables_.family; }
  int units_per_em() const { return tables_.units_per_em; }

  int glyph_of(char32_t character) const;  ///< 0: none
  GlyphOutline outline(int glyph) const;
  int advance(int glyph) const;  ///< width, font units
  /// Faces of one file with the same value have the same outline for the same glyph.
  std::uint32_t outline_table() const { return tables_.outlines; }
  /// Anti-aliased, dark (0) on light (255), into pixels [size, size]; what lies outside is cut off.
  void draw(int glyph, const FontTransform& transform, int size, std::span<std::uint8_t> pixels) const;

 private:
  std::shared_ptr<const FontFile> file_;
  int index_;
  FontTables tables_;
  std::unique_ptr<stbtt_fontinfo> info_;
};

}  // namespace plsc::data
