#include "data/font_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include "data/font_bytes.h"
#include "plsc/core/error.h"

namespace plsc::data {
namespace {

constexpr int kMaxComponentDepth = 8;
constexpr std::uint64_t kMaxPoints = 1 << 20;  ///< of one glyph with all components

struct Table {
  std::size_t offset = 0;
  std::size_t length = 0;
};

Error damaged(const std::string& why) {
  return Error(ErrorCode::data,
               fmt::format("The font is damaged ({}). Install the font again or leave the file out.", why));
}

/// Tables of one face; those that are looked at lie inside the file.
class Directory {
 public:
  Directory(FontBytes file, std::size_t start) : file_(file) {
    if (!file.contains(start, 12) || !is_font_tag(file.tag(start))) {
      throw damaged(fmt::format("no table directory at byte {}", start));
    }
    const std::size_t count = file.u16(start + 4);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t entry = start + 12 + 16 * i;
      tables_[std::string(file.tag(entry))] = {file.u32(entry + 8), file.u32(entry + 12)};
    }
  }

  bool has(const std::string& tag) const { return tables_.count(tag) > 0; }

  Table find(const std::string& tag, std::size_t least) const {
    const auto found = tables_.find(tag);
    if (found == tables_.end()) throw damaged(fmt::format("table '{}' is missing", tag));
    const Table table = found->second;
    if (!file_.contains(table.offset, table.length)) {
      throw damaged(fmt::format("table '{}' ends at byte {} of a file of {} bytes", tag, table.offset + table.length,
                                file_.size()));
    }
    if (table.length < least) throw damaged(fmt::format("table '{}' has only {} bytes", tag, table.length));
    return table;
  }

  FontBytes bytes(const std::string& tag, std::size_t least) const {
    const Table table = find(tag, least);
    return file_.part(table.offset, table.length);
  }

 private:
  FontBytes file_;
  std::map<std::string, Table> tables_;
};

/// How much a character map is wanted: full Unicode before the basic plane, Microsoft's platform before Unicode's; 0:
/// not.
int rank_of_map(std::uint32_t platform, std::uint32_t encoding, std::uint32_t format) {
  const bool unicode = platform == 0 || (platform == 3 && (encoding == 1 || encoding == 10));
  if (!unicode) return 0;
  const int on_tie = platform == 3 ? 1 : 0;
  switch (format) {
    case 12: return 8 + on_tie;
    case 4: return 6 + on_tie;
    case 6: return 4 + on_tie;
    case 13: return 2 + on_tie;
    default: return 0;
  }
}

std::uint32_t choose_character_map(const Directory& directory) {
  const FontBytes cmap = directory.bytes("cmap", 4);
  int best_rank = 0;
  std::uint32_t best = 0;
  for (std::size_t i = 0; i < cmap.u16(2); ++i) {
    const std::size_t entry = 4 + 8 * i;
    const std::uint32_t offset = cmap.u32(entry + 4);
    if (!cmap.contains(offset, 16)) throw damaged(fmt::format("character map {} lies outside of table 'cmap'", i));
    const std::uint32_t format = cmap.u16(offset);
    const int rank = rank_of_map(cmap.u16(entry), cmap.u16(entry + 2), format);
    if (rank <= best_rank) continue;
    const std::uint64_t groups = format >= 12 ? cmap.u32(offset + 12) : 0;
    const std::uint64_t segments = format == 4 ? cmap.u16(offset + 6) / 2 : 0;
    if (!cmap.contains(offset, 16 + 12 * groups + 8 * segments)) {
      throw damaged(fmt::format("character map {} is longer than table 'cmap'", i));
    }
    best_rank = rank;
    best = offset;
  }
  if (best_rank == 0) {
    throw Error(ErrorCode::data, "The font has no Unicode character map. Leave the file out.");
  }
  return static_cast<std::uint32_t>(directory.find("cmap", 4).offset) + best;
}

/// Checks TrueType outlines: contour ends rise, components exist and are neither circular nor explosive.
class OutlineCheck {
 public:
  OutlineCheck(const Directory& directory, int num_glyphs, bool long_offsets)
      : glyf_(directory.bytes("glyf", 0)),
        loca_(directory.bytes("loca", (long_offsets ? 4U : 2U) * (static_cast<std::size_t>(num_glyphs) + 1))),
        num_glyphs_(num_glyphs),
        long_offsets_(long_offsets),
        points_(static_cast<std::size_t>(num_glyphs), kUnknown) {}

  void run() {
    for (int glyph = 0; glyph < num_glyphs_; ++glyph) points_of(glyph, 0);
  }

 private:
  static constexpr std::uint64_t kUnknown = ~std::uint64_t{0};

  std::size_t start_of(int glyph) const {
    const auto index = static_cast<std::size_t>(glyph);
    return long_offsets_ ? loca_.u32(4 * index) : std::size_t{2} * loca_.u16(2 * index);
  }

  std::uint64_t points_of(int glyph, int depth) {
    std::uint64_t& known = points_[static_cast<std::size_t>(glyph)];
    if (known != kUnknown) return known;
    if (depth > kMaxComponentDepth) throw damaged(fmt::format("components of glyph {} are nested too deep", glyph));
    const std::size_t start = start_of(glyph);
    const std::size_t end = start_of(glyph + 1);
    if (start > end || !glyf_.contains(start, end - start)) {
      throw damaged(fmt::format("glyph {} lies outside of table 'glyf'", glyph));
    }
    if (start == end) return known = 0;
    const FontBytes outline = glyf_.part(start, end - start);
    const std::int32_t contours = outline.i16(0);
    const std::uint64_t points =
        contours >= 0 ? simple_points(outline, glyph, contours) : component_points(outline, glyph, depth);
    if (points > kMaxPoints) throw damaged(fmt::format("glyph {} has more than {} points", glyph, kMaxPoints));
    return points_[static_cast<std::size_t>(glyph)] = points;
  }

  std::uint64_t simple_points(FontBytes outline, int glyph, std::int32_t contours) const {
    std::int64_t last = -1;
    for (std::int32_t i = 0; i < contours; ++i) {
      const std::int64_t end = outline.u16(10 + std::size_t{2} * static_cast<std::size_t>(i));
      if (end <= last) throw damaged(fmt::format("contour {} of glyph {} ends before it begins", i, glyph));
      last = end;
    }
    if (contours > 0) outline.u16(10 + std::size_t{2} * static_cast<std::size_t>(contours));  // length of instructions
    return static_cast<std::uint64_t>(last + 1);
  }

  std::uint64_t component_points(FontBytes outline, int glyph, int depth) {
    std::uint64_t points = 0;
    std::size_t at = 10;
    for (std::uint32_t flags = 0x20; (flags & 0x20) != 0;) {  // 0x20: more components follow
      flags = outline.u16(at);
      const std::uint32_t component = outline.u16(at + 2);
      if (component >= static_cast<std::uint32_t>(num_glyphs_)) {
        throw damaged(fmt::format("glyph {} uses glyph {} of {}", glyph, component, num_glyphs_));
      }
      points += points_of(static_cast<int>(component), depth + 1);
      if (points > kMaxPoints) break;
      at += 4 + ((flags & 0x01) != 0 ? 4 : 2);                                                // two words or two bytes
      at += (flags & 0x08) != 0 ? 2 : (flags & 0x40) != 0 ? 4 : (flags & 0x80) != 0 ? 8 : 0;  // scale, x and y, 2 x 2
    }
    return points;
  }

  FontBytes glyf_;
  FontBytes loca_;
  int num_glyphs_;
  bool long_offsets_;
  std::vector<std::uint64_t> points_;
};

/// Full name (or family) in UTF-16BE of Microsoft's platform, kept where it is ASCII.
std::string read_name(const Directory& directory) {
  if (!directory.has("name")) return {};
  const FontBytes name = directory.bytes("name", 6);
  for (const std::uint32_t wanted : {4U, 1U}) {
    for (std::size_t i = 0; i < name.u16(2); ++i) {
      const std::size_t record = 6 + 12 * i;
      const bool english = name.u16(record) == 3 && name.u16(record + 4) == 0x409;
      if (!english || name.u16(record + 6) != wanted) continue;
      const FontBytes text = name.part(name.u16(4) + name.u16(record + 10), name.u16(record + 8));
      std::string ascii;
      for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
        if (text.u16(at) >= 0x20 && text.u16(at) < 0x7F) ascii += static_cast<char>(text.u16(at));
      }
      if (!ascii.empty()) return ascii;
    }
  }
  return {};
}

FontTables check_tables(const FontFile& file, int face) {
  const Directory directory(FontBytes(file.bytes()), file.face_offset(face));
  FontTables tables;
  const FontBytes head = directory.bytes("head", 54);
  tables.units_per_em = static_cast<int>(head.u16(18));
  if (tables.units_per_em < 16 || tables.units_per_em > 16384) {
    throw damaged(fmt::format("{} units per em", tables.units_per_em));
  }
  tables.num_glyphs = static_cast<int>(directory.bytes("maxp", 6).u16(4));
  if (tables.num_glyphs == 0) throw damaged("it has no glyphs");
  const std::size_t metrics = directory.bytes("hhea", 36).u16(34);
  directory.find("hmtx", 4 * std::max<std::size_t>(metrics, 1));
  if (metrics == 0) throw damaged("it has no glyph widths");
  tables.character_map = choose_character_map(directory);
  if (directory.has("glyf")) {
    if (head.u16(50) > 1) throw damaged(fmt::format("index format {}", head.u16(50)));
    OutlineCheck(directory, tables.num_glyphs, head.u16(50) == 1).run();
    tables.outlines = static_cast<std::uint32_t>(directory.find("glyf", 0).offset);
  } else if (directory.has("CFF ")) {
    tables.cff = true;
    tables.outlines = static_cast<std::uint32_t>(directory.find("CFF ", 4).offset);
  } else {
    throw Error(ErrorCode::data,
                "The font has no outlines that can be drawn (neither 'glyf' nor 'CFF '; bitmap and variable CFF2 fonts "
                "are not supported). Leave the file out.");
  }
  tables.family = read_name(directory);
  return tables;
}

}  // namespace

FontTables check_font(const FontFile& file, int face) {
  return with_context([&] { return fmt::format("font file {}, face #{}", file.path(), face); },
                      [&] { return check_tables(file, face); });
}

}  // namespace plsc::data
