#pragma once
// Makes small TrueType fonts whose glyphs consist of rectangles, so that tests need no installed font.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace plsc::test {

/// Font units; an em has 1000.
struct Box {
  int left = 0, bottom = 0, right = 0, top = 0;
};
using Boxes = std::vector<Box>;

struct MadeFont {
  std::string family = "Made Sans";
  Boxes notdef = {{100, 0, 900, 800}};
  std::map<char32_t, Boxes> glyphs;  ///< one glyph per code point; no boxes: mapped but empty
  int advance = 1000;
};

/// Bytes of a .ttf. `start`: file offset at which it will lie.
std::string font_bytes(const MadeFont& font, std::uint32_t start = 0);
/// Bytes of a .ttc.
std::string collection_bytes(const std::vector<MadeFont>& fonts);

/// A font of characters first, first + 1, ...: each a pattern of its own (bits of its number as boxes in a grid), drawn
/// in the style of the face: `thickness` of the boxes in font units.
MadeFont patterned_font(const std::string& family, char32_t first, int count, int thickness);

}  // namespace plsc::test
