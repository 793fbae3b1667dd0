#include "data/render_draw.h"

#include <algorithm>
#include <numbers>
#include <numeric>

#include "data/render_select.h"
#include "plsc/core/random.h"

namespace plsc::data {
namespace {

constexpr int kLeastInk = 2;  ///< fully dark pixels that a drawing must be worth

bool is_blank(const std::vector<std::uint8_t>& pixels) {
  const auto ink = std::accumulate(pixels.begin(), pixels.end(), std::int64_t{0},
                                   [](std::int64_t sum, std::uint8_t pixel) { return sum + 255 - pixel; });
  return ink < 255 * kLeastInk;
}

std::vector<std::uint8_t> draw_glyph(const Studio& studio, std::size_t face, std::int32_t glyph,
                                     const FontTransform& transform) {
  const auto size = static_cast<std::size_t>(studio.size);
  std::vector<std::uint8_t> pixels(size * size);
  studio.faces[face].font.draw(glyph, transform, studio.size, pixels);
  return pixels;
}

std::uint64_t key_of(const std::string& name) {
  std::uint64_t key = 0;
  for (const char c : name) key = mix64(key ^ static_cast<unsigned char>(c));
  return key;
}

}  // namespace

Studio make_studio(const std::vector<OpenedFace>& faces, const Survey& survey, const RenderOptions& options) {
  const auto training =
      std::count_if(faces.begin(), faces.end(), [](const OpenedFace& f) { return !f.description.held_out; });
  Studio studio{faces, survey, static_cast<std::size_t>(training), {}, options.size, options.duplicate_tolerance};
  for (std::size_t face = 0; face < faces.size(); ++face) {
    studio.placements.push_back(
        place_face(survey.faces[face], faces[face].font.units_per_em(), options.size, options.margin));
  }
  return studio;
}

DrawnCharacter draw_character(const Studio& studio, std::size_t character) {
  DrawnCharacter drawn;
  std::vector<std::uint64_t> hashes;  // of the outlines of drawn.drawings
  for (std::size_t face = 0; face < studio.faces.size(); ++face) {
    const SurveyedGlyph& glyph = studio.survey.faces[face][character];
    if (glyph.hash == 0) continue;
    const bool held_out = face >= studio.training_faces;
    std::int64_t& duplicates = held_out ? drawn.dropped.held_out_duplicates : drawn.dropped.duplicates;
    if (std::find(hashes.begin(), hashes.end(), glyph.hash) != hashes.end()) {
      ++duplicates;
      continue;
    }
    auto pixels =
        draw_glyph(studio, face, glyph.glyph, plain_transform(studio.placements[face], glyph.middle, studio.size));
    if (is_blank(pixels)) {
      ++drawn.dropped.empty;
      continue;
    }
    const bool known = std::any_of(drawn.drawings.begin(), drawn.drawings.end(), [&](const Drawing& other) {
      return drawing_difference(pixels, other.pixels) <= studio.duplicate_tolerance;
    });
    if (known) {
      ++duplicates;
      continue;
    }
    hashes.push_back(glyph.hash);
    drawn.drawings.push_back({face, std::move(pixels)});
    if (!held_out) ++drawn.training;
  }
  return drawn;
}

std::vector<std::uint8_t> draw_variant(const Studio& studio, std::size_t character, std::size_t face, int variant,
                                       const RenderJitter& jitter, std::uint64_t seed) {
  const SurveyedGlyph& glyph = studio.survey.faces[face][character];
  CounterRng rng(seed, RandomPurpose::render, studio.survey.characters[character],
                 key_of(studio.faces[face].description.name) + static_cast<std::uint64_t>(variant));
  const auto within = [&](double bound) { return bound * (2 * rng.uniform() - 1); };
  const double radians = within(jitter.rotation) * std::numbers::pi / 180;
  const double scale = 1 + within(jitter.scale);
  const double shift_x = within(jitter.shift) * studio.size;
  const double shift_y = within(jitter.shift) * studio.size;
  const FontTransform plain = plain_transform(studio.placements[face], glyph.middle, studio.size);
  return draw_glyph(studio, face, glyph.glyph,
                    jittered_transform(plain, studio.size, radians, scale, shift_x, shift_y));
}

void add_dropped(RenderDropped& sum, const RenderDropped& more) {
  sum.empty += more.empty;
  sum.placeholders += more.placeholders;
  sum.shared += more.shared;
  sum.duplicates += more.duplicates;
  sum.held_out_duplicates += more.held_out_duplicates;
  sum.thin_classes += more.thin_classes;
}

}  // namespace plsc::data
