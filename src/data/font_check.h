#pragma once
// What must hold before a face goes to stb_truetype, which trusts the file: tables inside the file, a Unicode character
// map, outlines whose contours and components are well-formed (the parser's buffers are sized by them).

#include <cstdint>
#include <string>

#include "data/font_file.h"

namespace plsc::data {

struct FontTables {
  std::uint32_t character_map = 0;  ///< file offset of the chosen cmap subtable (format 0, 4, 6, 12 or 13)
  int num_glyphs = 0;
  int units_per_em = 0;
  bool cff = false;            ///< PostScript outlines
  std::uint32_t outlines = 0;  ///< file offset of 'glyf' or 'CFF '; faces of a collection may share it
  std::string family;          ///< full name, such as "Noto Sans CJK SC Bold"; may be empty
};

/// Throws Error{data} with the face as context.
FontTables check_font(const FontFile& file, int face);

}  // namespace plsc::data
