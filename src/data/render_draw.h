#pragma once
// The drawings of one character by all faces, without those that are empty or the same as an earlier face's.

#include <cstdint>
#include <vector>

#include "data/render_survey.h"
#include "plsc/data/render.h"

namespace plsc::data {

/// What drawing needs; the referenced objects must outlive it. Read-only, so any number of threads may draw.
struct Studio {
  const std::vector<OpenedFace>& faces;
  const Survey& survey;
  std::size_t training_faces = 0;
  std::vector<FacePlacement> placements;  ///< [face]
  int size = 0;
  double duplicate_tolerance = 0;
};

Studio make_studio(const std::vector<OpenedFace>& faces, const Survey& survey, const RenderOptions& options);

struct Drawing {
  std::size_t face = 0;
  std::vector<std::uint8_t> pixels;  ///< [size, size]
};

struct DrawnCharacter {
  std::vector<Drawing> drawings;  ///< in order of the faces: training first
  int training = 0;               ///< those of training faces
  RenderDropped dropped;
};

DrawnCharacter draw_character(const Studio& studio, std::size_t character);

/// Variant 1, 2, ... of one drawing; a pure function of (seed, code point, face name, variant).
std::vector<std::uint8_t> draw_variant(const Studio& studio, std::size_t character, std::size_t face, int variant,
                                       const RenderJitter& jitter, std::uint64_t seed);

/// Adds the counts of `more`.
void add_dropped(RenderDropped& sum, const RenderDropped& more);

}  // namespace plsc::data
