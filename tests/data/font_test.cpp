#include "data/font.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/errors.h"
#include "data/font_maker.h"
#include "plsc/core/random.h"
#include "support/images.h"
#include "support/temp_dir.h"

namespace plsc::data {

namespace {

using Catch::Contains;
using test::error_of;
using test::font_bytes;
using test::MadeFont;
using test::TempDir;

const MadeFont kTwoBoxes{"Two Boxes", {{0, 0, 500, 500}}, {{U'A', {{0, 0, 500, 1000}}}, {U'B', {}}}, 1000};

/// Font bytes in a file.
class FontOnDisk {
 public:
  explicit FontOnDisk(const std::string& bytes, const std::string& name = "made.ttf")
      : path_((folder_ / name).string()) {
    test::write_file(path_, bytes);
  }
  FontFace face(int index = 0) const { return FontFace(std::make_shared<const FontFile>(path_), index); }
  Error error(int index = 0) const {
    return error_of([&] { face(index); });
  }
  const std::string& path() const { return path_; }

 private:
  TempDir folder_;
  std::string path_;
};

/// The font with one byte range overwritten, counted from the start of a table.
std::string patched(std::string bytes, const std::string& tag, std::size_t offset, const std::string& replacement) {
  const std::size_t entry = bytes.find(tag);
  std::size_t start = 0;
  for (std::size_t i = 8; i < 12; ++i) start = start << 8 | static_cast<unsigned char>(bytes[entry + i]);
  return bytes.replace(start + offset, replacement.size(), replacement);
}

std::string without_table(std::string bytes, const std::string& tag) {
  return bytes.replace(bytes.find(tag), 4, "none");
}

}  // namespace

TEST_CASE("a face maps characters to outlines", "[font]") {
  const FontOnDisk font(font_bytes(kTwoBoxes));
  const FontFace face = font.face();

  REQUIRE(face.family() == "Two Boxes");
  REQUIRE(face.units_per_em() == 1000);
  REQUIRE(face.glyph_of(U'A') == 1);
  REQUIRE(face.glyph_of(U'Z') == 0);
  const GlyphOutline a = face.outline(1);
  REQUIRE(a.hash != 0);
  REQUIRE(a.left == 0);
  REQUIRE(a.right == 500);
  REQUIRE(a.bottom == 0);
  REQUIRE(a.top == 1000);
  REQUIRE(face.advance(1) == 1000);
  REQUIRE(face.outline(2).hash == 0);
  REQUIRE(face.outline(0).hash != a.hash);
}

TEST_CASE("drawing is dark on light, anti-aliased and upright", "[font]") {
  const FontOnDisk font(font_bytes({"F", {}, {{U'A', {{0, 0, 450, 500}}}}, 1000}));
  const FontFace face = font.face();
  std::vector<std::uint8_t> pixels(100);

  face.draw(1, {0.01, 0, 0, 0, -0.01, 10}, 10, pixels);  // the em fills the image: the box is its lower left

  REQUIRE(pixels[9 * 10 + 0] == 0);
  REQUIRE(pixels[5 * 10 + 3] == 0);
  REQUIRE(pixels[4 * 10 + 0] == 255);
  REQUIRE(pixels[9 * 10 + 9] == 255);
  REQUIRE(int{pixels[9 * 10 + 4]} == Approx(128).margin(2));
}

TEST_CASE("what lies outside of the image is cut off", "[font]") {
  const FontOnDisk font(font_bytes({"F", {}, {{U'A', {{-9000, -9000, 9000, 9000}}}}, 1000}));
  const FontFace face = font.face();
  std::vector<std::uint8_t> pixels(64, 7);

  face.draw(1, {0.008, 0, 0, 0, -0.008, 8}, 8, pixels);

  REQUIRE(std::all_of(pixels.begin(), pixels.end(), [](std::uint8_t p) { return p == 0; }));
}

TEST_CASE("a collection has several faces", "[font]") {
  const FontOnDisk font(test::collection_bytes({kTwoBoxes, {"Second", {}, {{U'C', {{0, 0, 9, 9}}}}, 500}}), "made.ttc");

  REQUIRE(font.face(0).family() == "Two Boxes");
  REQUIRE(font.face(1).family() == "Second");
  REQUIRE(font.face(1).glyph_of(U'C') == 1);
  REQUIRE_THAT(font.error(2).message(), Contains("has no face #2") && Contains("#0 to #1") && Contains("made.ttc"));
  REQUIRE(font.error(2).code() == ErrorCode::usage);
}

TEST_CASE("files that are no fonts are refused", "[font]") {
  const FontOnDisk text("This is a text file, not a font at all.");
  const FontOnDisk tiny("abc");
  const FontOnDisk faces(std::string("ttcf\0\1\0\0\0\0\xFF\xFF____", 16));

  REQUIRE_THAT(text.error().message(), Contains("is not a font") && Contains(text.path()));
  REQUIRE_THAT(tiny.error().message(), Contains("is not a font") && Contains("3 bytes"));
  REQUIRE_THAT(faces.error().message(), Contains("damaged") && Contains("65535 faces"));
  const Error missing = error_of([] { FontFile("/nowhere/missing.ttf"); });
  REQUIRE(missing.code() == ErrorCode::io);
  REQUIRE_THAT(missing.message(), Contains("/nowhere/missing.ttf") && Contains("No such file") && Contains("Check"));
  const Error folder = error_of([] { FontFile("/"); });
  REQUIRE_THAT(folder.message(), Contains("not a regular file"));
}

TEST_CASE("damaged fonts are refused before they are parsed", "[font]") {
  const std::string good = font_bytes(kTwoBoxes);
  const auto message = [](const std::string& bytes) {
    const Error error = FontOnDisk(bytes).error();
    CHECK(error.code() == ErrorCode::data);
    CHECK_THAT(error.context().at(0), Contains("made.ttf") && Contains("#0"));
    return error.message();
  };

  REQUIRE_THAT(message(good.substr(0, good.size() - 40)), Contains("ends at byte") || Contains("too short"));
  REQUIRE_THAT(message(good.substr(0, 40)), Contains("too short"));
  REQUIRE_THAT(message(without_table(good, "hmtx")), Contains("table 'hmtx' is missing"));
  REQUIRE_THAT(message(without_table(good, "glyf")), Contains("no outlines"));
  REQUIRE_THAT(message(patched(good, "head", 18, std::string(2, '\0'))), Contains("0 units per em"));
  REQUIRE_THAT(message(patched(good, "head", 50, "\x09")), Contains("index format"));
  REQUIRE_THAT(message(patched(good, "maxp", 4, std::string(2, '\0'))), Contains("no glyphs"));
  REQUIRE_THAT(message(patched(good, "hhea", 34, std::string(2, '\0'))), Contains("no glyph widths"));
  REQUIRE_THAT(message(patched(good, "loca", 4, "\x7F")), Contains("outside of table 'glyf'"));
  REQUIRE_THAT(message(patched(good, "cmap", 8, "\x7F")), Contains("outside of table 'cmap'"));
  REQUIRE_THAT(message(patched(good, "cmap", 24, "\x7F")), Contains("longer than table 'cmap'"));
  REQUIRE_THAT(message(patched(good, "cmap", 4, std::string("\0\1", 2))), Contains("no Unicode character map"));
}

TEST_CASE("outlines that would overrun the parser's buffers are refused", "[font]") {
  const MadeFont two_contours{"F", {{0, 0, 500, 500}, {600, 0, 900, 500}}, {{U'A', {{0, 0, 1, 1}}}}, 1000};
  const std::string good = font_bytes(two_contours);
  const std::string falling = patched(good, "glyf", 12, std::string("\0\1", 2));
  // glyph 0 becomes a composite of itself, or of a glyph that does not exist
  const std::string composite("\xFF\xFF\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
  std::string stranger = composite;
  stranger[13] = 9;

  REQUIRE_THAT(FontOnDisk(falling).error().message(), Contains("contour 1 of glyph 0 ends before it begins"));
  REQUIRE_THAT(FontOnDisk(patched(good, "glyf", 0, composite)).error().message(), Contains("nested too deep"));
  REQUIRE_THAT(FontOnDisk(patched(good, "glyf", 0, stranger)).error().message(), Contains("uses glyph 9 of 2"));
}

TEST_CASE("fonts with random damage are drawn or refused, never followed out of memory", "[font]") {
  const std::string good = font_bytes(test::patterned_font("F", U'A', 20, 60));
  CounterRng rng(3, RandomPurpose::test, 0);
  std::vector<std::uint8_t> pixels(256);
  int refused = 0;

  for (int round = 0; round < 400; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 3; ++i) bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
    const FontOnDisk font(bytes);
    try {
      const FontFace face = font.face();
      for (char32_t c = U'A'; c < U'A' + 20; ++c) {
        face.outline(face.glyph_of(c));
        face.draw(face.glyph_of(c), {0.016, 0, 0, 0, -0.016, 16}, 16, pixels);
      }
    } catch (const Error&) {
      ++refused;
    }
  }

  REQUIRE(refused > 0);
  REQUIRE(refused < 400);
}

}  // namespace plsc::data
