#pragma once
// From the words of RenderOptions to opened faces.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/font.h"
#include "plsc/data/render.h"

namespace plsc::data {

/// One font file that is asked for. `face` < 0: all its faces.
struct FontRequest {
  std::string path;
  int face = -1;
  bool named = true;  ///< by its own path; false: found in a folder or by a pattern, and skipped when it cannot be used
  std::uint64_t bytes = 0;
};

/// Expands folders and patterns, sorted within each. Throws Error{usage|io}.
std::vector<FontRequest> find_fonts(const std::vector<std::string>& fonts);

/// Whether "file.ttc", "file.ttc#2", a path with or without "#2", or a part of the family name (any case) names the
/// face.
bool selects_face(const std::string& selector, const std::string& path, int index, const std::string& family);

struct OpenedFace {
  FontFace font;
  RenderedFace description;
  bool named = true;
};

struct OpenedFonts {
  std::vector<OpenedFace> faces;  ///< training faces first, then held-out ones, each in the order asked for
  std::vector<std::string> skipped;
};

/// No face comes twice. Throws Error{usage} when a selector names no face or no training face is left, Error{data|io}
/// for unusable fonts.
OpenedFonts open_fonts(const std::vector<FontRequest>& requests, const RenderOptions& options);

}  // namespace plsc::data
