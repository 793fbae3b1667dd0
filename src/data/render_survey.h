#pragma once
// Which face draws which character, and how large, before anything is rasterised. Character maps are not believed: an
// outline counts only when it has area, is not the face's .notdef, not one shape for very many characters, and not
// already the outline of a lower code point.

#include <cstdint>
#include <span>
#include <vector>

#include "data/font.h"
#include "data/render_fonts.h"
#include "plsc/data/render.h"

namespace plsc::data {

/// hash == 0: the face does not draw the character. Horizontal bounds are relative to the middle of the advance width.
struct SurveyedGlyph {
  std::uint64_t hash = 0;
  std::int32_t glyph = 0;
  float middle = 0;  ///< half the advance width, font units
  float left = 0, right = 0, bottom = 0, top = 0;
};

struct Survey {
  std::vector<char32_t> characters;
  std::vector<std::vector<SurveyedGlyph>> faces;  ///< [face][character]
};

/// One outline used for more characters than this is a placeholder.
inline constexpr int kMaxSharedOutline = 8;

/// Drops placeholders and shared outlines of one face (glyphs in order of code point); adds to `dropped`.
void clean_face(std::span<SurveyedGlyph> glyphs, std::uint64_t notdef_hash, RenderDropped& dropped);

/// Throws Error{data} when a face that was named, or all faces together, draw nothing of `characters`.
Survey survey_faces(const std::vector<OpenedFace>& faces, std::vector<char32_t> characters, int threads,
                    RenderDropped& dropped);

/// Scale and place that one face gives all its glyphs: its usual extent fills the image up to the margin, so that sizes
/// within a face stay comparable and a small glyph stays small.
struct FacePlacement {
  double scale = 1;     ///< pixels per font unit
  double centre_y = 0;  ///< font units; goes to the middle of the image
};
FacePlacement place_face(std::span<const SurveyedGlyph> glyphs, int units_per_em, int size, double margin);

/// Transform of one glyph; `middle` is half its advance width.
FontTransform plain_transform(const FacePlacement& placement, double middle, int size);
/// The plain transform, then turned by `radians`, scaled and shifted (pixels) about the middle of the image.
FontTransform jittered_transform(const FontTransform& plain, int size, double radians, double scale, double shift_x,
                                 double shift_y);

}  // namespace plsc::data
