#include "data/font_maker.h"

#include <algorithm>
#include <utility>

namespace plsc::test {

namespace {

void u16(std::string& out, std::int64_t value) {
  out += static_cast<char>(value >> 8 & 0xFF);
  out += static_cast<char>(value & 0xFF);
}

void u32(std::string& out, std::int64_t value) {
  u16(out, value >> 16 & 0xFFFF);
  u16(out, value & 0xFFFF);
}

std::string glyph_bytes(const Boxes& boxes) {
  if (boxes.empty()) return {};
  std::string out;
  u16(out, static_cast<std::int64_t>(boxes.size()));
  for (int i = 0; i < 4; ++i) u16(out, 0);  // the glyph's own bounds are not looked at
  for (std::size_t i = 0; i < boxes.size(); ++i) u16(out, static_cast<std::int64_t>(4 * i + 3));
  u16(out, 0);                            // no instructions
  out.append(4 * boxes.size(), char{1});  // on-curve points with 16-bit deltas
  std::string ys;
  int x = 0;
  int y = 0;
  const auto point = [&](int to_x, int to_y) {
    u16(out, to_x - std::exchange(x, to_x));
    u16(ys, to_y - std::exchange(y, to_y));
  };
  for (const Box& box : boxes) {
    point(box.left, box.bottom);
    point(box.left, box.top);
    point(box.right, box.top);
    point(box.right, box.bottom);
  }
  out += ys;
  if (out.size() % 2 != 0) out += '\0';
  return out;
}

std::string character_map(const MadeFont& font) {
  std::string out;
  u16(out, 0);
  u16(out, 1);
  u16(out, 3);   // Microsoft
  u16(out, 10);  // full Unicode
  u32(out, 12);
  u16(out, 12);
  u16(out, 0);
  u32(out, static_cast<std::int64_t>(16 + 12 * font.glyphs.size()));
  u32(out, 0);
  u32(out, static_cast<std::int64_t>(font.glyphs.size()));
  std::int64_t glyph = 1;
  for (const auto& entry : font.glyphs) {
    u32(out, entry.first);
    u32(out, entry.first);
    u32(out, glyph++);
  }
  return out;
}

std::string names(const std::string& family) {
  std::string out;
  u16(out, 0);
  u16(out, 1);
  u16(out, 18);
  for (const int value : {3, 1, 0x409, 4}) u16(out, value);
  u16(out, static_cast<std::int64_t>(2 * family.size()));
  u16(out, 0);
  for (const char c : family) u16(out, c);
  return out;
}

std::map<std::string, std::string> tables_of(const MadeFont& font) {
  std::string glyf;
  std::string loca;
  const auto add = [&](const Boxes& boxes) {
    u32(loca, static_cast<std::int64_t>(glyf.size()));
    glyf += glyph_bytes(boxes);
  };
  add(font.notdef);
  for (const auto& entry : font.glyphs) add(entry.second);
  u32(loca, static_cast<std::int64_t>(glyf.size()));

  std::string head(54, '\0');
  head[18] = char{1000 >> 8};
  head[19] = static_cast<char>(1000 & 0xFF);
  head[51] = 1;  // 32-bit loca
  std::string hhea(36, '\0');
  hhea[35] = 1;  // one width for all
  std::string hmtx;
  u16(hmtx, font.advance);
  hmtx.append(2 * (font.glyphs.size() + 1), '\0');
  std::string maxp;
  u32(maxp, 0x10000);
  u16(maxp, static_cast<std::int64_t>(font.glyphs.size() + 1));
  return {{"cmap", character_map(font)},
          {"glyf", glyf},
          {"head", head},
          {"hhea", hhea},
          {"hmtx", hmtx},
          {"loca", loca},
          {"maxp", maxp},
          {"name", names(font.family)}};
}

}  // namespace

std::string font_bytes(const MadeFont& font, std::uint32_t start) {
  const auto tables = tables_of(font);
  std::string directory;
  u32(directory, 0x10000);
  u16(directory, static_cast<std::int64_t>(tables.size()));
  for (int i = 0; i < 3; ++i) u16(directory, 0);
  std::string body;
  const std::size_t body_start = start + 12 + 16 * tables.size();
  for (const auto& [tag, bytes] : tables) {
    directory += tag;
    u32(directory, 0);
    u32(directory, static_cast<std::int64_t>(body_start + body.size()));
    u32(directory, static_cast<std::int64_t>(bytes.size()));
    body += bytes;
    body.append((4 - body.size() % 4) % 4, '\0');
  }
  return directory + body;
}

std::string collection_bytes(const std::vector<MadeFont>& fonts) {
  std::string header = "ttcf";
  u32(header, 0x10000);
  u32(header, static_cast<std::int64_t>(fonts.size()));
  std::string body;
  const std::size_t body_start = 12 + 4 * fonts.size();
  for (const MadeFont& font : fonts) {
    const std::size_t start = body_start + body.size();
    u32(header, static_cast<std::int64_t>(start));
    body += font_bytes(font, static_cast<std::uint32_t>(start));
  }
  return header + body;
}

MadeFont patterned_font(const std::string& family, char32_t first, int count, int thickness) {
  MadeFont font;
  font.family = family;
  for (int number = 0; number < count; ++number) {
    Boxes boxes = {{50, -70, 50 + thickness, 830}};  // a stem that all characters have
    for (int bit = 0; bit < 9; ++bit) {
      if (((number + 1) >> bit & 1) == 0) continue;
      const int x = 250 + 220 * (bit % 3);
      const int y = -50 + 300 * (bit / 3);
      boxes.push_back({x, y, x + std::min(thickness, 200), y + 2 * std::min(thickness, 140)});
    }
    font.glyphs[first + static_cast<char32_t>(number)] = boxes;
  }
  return font;
}

}  // namespace plsc::test
