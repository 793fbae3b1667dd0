#include "data/render_survey.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "data/render_characters.h"
#include "data/render_parallel.h"
#include "plsc/core/error.h"

namespace plsc::data {
namespace {

constexpr std::size_t kBlock = 1024;  ///< characters per task
constexpr double kUsual = 0.99;       ///< share of a face's glyphs that its extent holds
constexpr double kLeastExtent = 0.6;  ///< of the em: a face with few small glyphs does not blow them up

/// Faces of a collection that share their outlines.
using FaceGroup = std::vector<std::size_t>;

std::vector<FaceGroup> group_faces(const std::vector<OpenedFace>& faces) {
  std::map<std::pair<const FontFile*, std::uint32_t>, FaceGroup> groups;
  for (std::size_t face = 0; face < faces.size(); ++face) {
    groups[{&faces[face].font.file(), faces[face].font.outline_table()}].push_back(face);
  }
  std::vector<FaceGroup> list;
  for (auto& [key, group] : groups) list.push_back(std::move(group));
  return list;
}

/// Surveys one character in all faces of a group; the same glyph is read once.
void survey_character(const std::vector<OpenedFace>& faces, const FaceGroup& group, std::size_t character,
                      Survey& survey) {
  std::vector<std::pair<int, GlyphOutline>> known;
  for (const std::size_t face : group) {
    const FontFace& font = faces[face].font;
    SurveyedGlyph& surveyed = survey.faces[face][character];
    surveyed.glyph = font.glyph_of(survey.characters[character]);
    if (surveyed.glyph == 0) continue;
    auto found =
        std::find_if(known.begin(), known.end(), [&](const auto& entry) { return entry.first == surveyed.glyph; });
    if (found == known.end()) found = known.insert(known.end(), {surveyed.glyph, font.outline(surveyed.glyph)});
    const GlyphOutline& outline = found->second;
    surveyed.hash = outline.hash;
    surveyed.middle = 0.5F * static_cast<float>(font.advance(surveyed.glyph));
    surveyed.left = static_cast<float>(outline.left) - surveyed.middle;
    surveyed.right = static_cast<float>(outline.right) - surveyed.middle;
    surveyed.bottom = static_cast<float>(outline.bottom);
    surveyed.top = static_cast<float>(outline.top);
  }
}

/// Value that `share` of the values do not exceed.
double quantile(std::vector<float> values, double share) {
  const auto place = static_cast<std::size_t>(std::floor(share * static_cast<double>(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(place), values.end());
  return values[place];
}

std::vector<float> collect(std::span<const SurveyedGlyph> glyphs, float (*value)(const SurveyedGlyph&)) {
  std::vector<float> values;
  for (const SurveyedGlyph& glyph : glyphs) {
    if (glyph.hash != 0) values.push_back(value(glyph));
  }
  return values;
}

bool draws_anything(std::span<const SurveyedGlyph> glyphs) {
  return std::any_of(glyphs.begin(), glyphs.end(), [](const SurveyedGlyph& glyph) { return glyph.hash != 0; });
}

void check_coverage(const std::vector<OpenedFace>& faces, const Survey& survey) {
  bool any = false;
  for (std::size_t face = 0; face < faces.size(); ++face) {
    const bool draws = draws_anything(survey.faces[face]);
    any = any || draws;
    if (draws || !faces[face].named) continue;
    throw Error(
        ErrorCode::data,
        fmt::format("Font file '{}', face #{} ({}), has no glyph in the range (characters {} to {}). Choose other "
                    "characters or leave the face out.",
                    faces[face].description.file, faces[face].description.index, faces[face].description.family,
                    code_point_text(survey.characters.front()), code_point_text(survey.characters.back())));
  }
  if (any) return;
  throw Error(
      ErrorCode::data,
      fmt::format("None of the {} font faces has a glyph in the range (characters {} to {}). Choose "
                  "other characters or other fonts.",
                  faces.size(), code_point_text(survey.characters.front()), code_point_text(survey.characters.back())));
}

}  // namespace

void clean_face(std::span<SurveyedGlyph> glyphs, std::uint64_t notdef_hash, RenderDropped& dropped) {
  std::unordered_map<std::uint64_t, int> uses;
  for (const SurveyedGlyph& glyph : glyphs) {
    if (glyph.glyph != 0 && glyph.hash == 0) ++dropped.empty;
    if (glyph.hash != 0) ++uses[glyph.hash];
  }
  std::unordered_set<std::uint64_t> owned;
  for (SurveyedGlyph& glyph : glyphs) {
    if (glyph.hash == 0) continue;
    if (glyph.hash == notdef_hash || uses[glyph.hash] > kMaxSharedOutline) {
      ++dropped.placeholders;
      glyph.hash = 0;
    } else if (!owned.insert(glyph.hash).second) {
      ++dropped.shared;
      glyph.hash = 0;
    }
  }
}

Survey survey_faces(const std::vector<OpenedFace>& faces, std::vector<char32_t> characters, int threads,
                    RenderDropped& dropped) {
  Survey survey;
  survey.characters = std::move(characters);
  survey.faces.assign(faces.size(), std::vector<SurveyedGlyph>(survey.characters.size()));
  const std::vector<FaceGroup> groups = group_faces(faces);
  const std::size_t blocks = (survey.characters.size() + kBlock - 1) / kBlock;
  parallel_for(threads, groups.size() * blocks, [&](std::size_t task) {
    const std::size_t begin = task % blocks * kBlock;
    const std::size_t end = std::min(begin + kBlock, survey.characters.size());
    for (std::size_t i = begin; i < end; ++i) survey_character(faces, groups[task / blocks], i, survey);
  });
  for (std::size_t face = 0; face < faces.size(); ++face) {
    clean_face(survey.faces[face], faces[face].font.outline(0).hash, dropped);
  }
  check_coverage(faces, survey);
  return survey;
}

FacePlacement place_face(std::span<const SurveyedGlyph> glyphs, int units_per_em, int size, double margin) {
  FacePlacement placement;
  double extent = kLeastExtent * units_per_em;
  if (draws_anything(glyphs)) {
    const double bottom = quantile(collect(glyphs, [](const SurveyedGlyph& g) { return g.bottom; }), 1 - kUsual);
    const double top = quantile(collect(glyphs, [](const SurveyedGlyph& g) { return g.top; }), kUsual);
    const double half =
        quantile(collect(glyphs, [](const SurveyedGlyph& g) { return std::max(-g.left, g.right); }), kUsual);
    placement.centre_y = 0.5 * (bottom + top);
    extent = std::max({extent, top - bottom, 2 * half});
  }
  placement.scale = size * (1 - 2 * margin) / extent;
  return placement;
}

FontTransform plain_transform(const FacePlacement& placement, double middle, int size) {
  FontTransform t;
  t.xx = placement.scale;
  t.xy = 0;
  t.x0 = 0.5 * size - placement.scale * middle;
  t.yx = 0;
  t.yy = -placement.scale;
  t.y0 = 0.5 * size + placement.scale * placement.centre_y;
  return t;
}

FontTransform jittered_transform(const FontTransform& plain, int size, double radians, double scale, double shift_x,
                                 double shift_y) {
  const double c = scale * std::cos(radians);
  const double s = scale * std::sin(radians);
  const double half = 0.5 * size;
  FontTransform t;
  t.xx = c * plain.xx - s * plain.yx;
  t.xy = c * plain.xy - s * plain.yy;
  t.x0 = c * (plain.x0 - half) - s * (plain.y0 - half) + half + shift_x;
  t.yx = s * plain.xx + c * plain.yx;
  t.yy = s * plain.xy + c * plain.yy;
  t.y0 = s * (plain.x0 - half) + c * (plain.y0 - half) + half + shift_y;
  return t;
}

}  // namespace plsc::data
