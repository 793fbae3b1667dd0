// The parts of the renderer that need no font.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <numbers>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/errors.h"
#include "data/render_characters.h"
#include "data/render_fonts.h"
#include "data/render_parallel.h"
#include "data/render_select.h"
#include "data/render_survey.h"

namespace plsc::data {

namespace {

using Catch::Contains;
using test::error_of;

SurveyedGlyph glyph(std::uint64_t hash, int number = 1) {
  SurveyedGlyph g;
  g.hash = hash;
  g.glyph = number;
  return g;
}

std::vector<char32_t> parse(const std::vector<std::string>& items) { return parse_characters(items); }

std::vector<std::vector<std::string>> image_names(int classes, int faces) {
  std::vector<std::vector<std::string>> images;
  for (int c = 0; c < classes; ++c) {
    std::vector<std::string>& names = images.emplace_back();
    for (int f = 0; f < faces; ++f) names.push_back(fmt::format("c{}/f{}", c, f));
  }
  return images;
}

std::string class_of(const std::string& path) { return path.substr(0, path.find('/')); }

}  // namespace

TEST_CASE("character sets are named or hexadecimal", "[render]") {
  REQUIRE(parse({"han"}).size() == 0x9FFF - 0x4E00 + 1);
  REQUIRE(parse({"hangul"}).size() == 11172);
  REQUIRE(parse({"4E00-4E02"}) == std::vector<char32_t>{0x4E00, 0x4E01, 0x4E02});
  REQUIRE(parse({"U+4e01", "0x4E00"}) == std::vector<char32_t>{0x4E00, 0x4E01});
  REQUIRE(parse({"4E00-4E02", "4E01-4E03"}).size() == 4);
  REQUIRE(parse({"han-ext"}).back() == 0x323AF);
  REQUIRE(parse({"D7FF-E000"}) == std::vector<char32_t>{0xD7FF, 0xE000});  // no surrogates
}

TEST_CASE("character ranges that make no sense are refused", "[render]") {
  const auto message = [](const std::vector<std::string>& items) {
    const Error error = error_of([&] { parse(items); });
    CHECK(error.code() == ErrorCode::usage);
    return error.message();
  };

  REQUIRE_THAT(message({"klingon"}), Contains("'klingon'") && Contains("han, han-ext, hangul"));
  REQUIRE_THAT(message({"4E02-4E00"}), Contains("ends before it begins"));
  REQUIRE_THAT(message({"10FFFF-110000"}), Contains("10FFFF"));
  REQUIRE_THAT(message({"4E00-"}), Contains("neither"));
  REQUIRE_THAT(message({""}), Contains("neither"));
  REQUIRE_THAT(message({}), Contains("No characters"));
  REQUIRE_THAT(message({"20"}), Contains("No characters"));
}

TEST_CASE("characters are written as code points and UTF-8", "[render]") {
  REQUIRE(code_point_text(0x4E00) == "U+4E00");
  REQUIRE(code_point_text(U'A') == "U+0041");
  REQUIRE(code_point_text(0x2A6DF) == "U+2A6DF");
  REQUIRE(utf8(U'A') == "A");
  REQUIRE(utf8(0xE9) == "\xC3\xA9");
  REQUIRE(utf8(0x4E00) == "\xE4\xB8\x80");
  REQUIRE(utf8(0x20000) == "\xF0\xA0\x80\x80");
}

TEST_CASE("faces are named by file, index or part of the family", "[render]") {
  const std::string path = "/fonts/wqy.ttc";

  REQUIRE(selects_face("wqy.ttc", path, 1, "Zen Hei"));
  REQUIRE(selects_face("wqy.ttc#1", path, 1, "Zen Hei"));
  REQUIRE(selects_face("/fonts/wqy.ttc#1", path, 1, "Zen Hei"));
  REQUIRE(selects_face("zen", path, 1, "Zen Hei"));
  REQUIRE_FALSE(selects_face("wqy.ttc#0", path, 1, "Zen Hei"));
  REQUIRE_FALSE(selects_face("/other/wqy.ttc", path, 1, "Zen Hei"));
  REQUIRE_FALSE(selects_face("", path, 1, "Zen Hei"));
}

TEST_CASE("placeholders, .notdef and shared outlines are dropped", "[render]") {
  std::vector<SurveyedGlyph> glyphs = {glyph(5), glyph(6), glyph(5), glyph(99), glyph(0), glyph(0, 0)};
  glyphs.insert(glyphs.end(), kMaxSharedOutline + 1, glyph(7));
  RenderDropped dropped;

  clean_face(glyphs, 99, dropped);

  REQUIRE(glyphs[0].hash == 5);  // the lower code point keeps its outline
  REQUIRE(glyphs[1].hash == 6);
  REQUIRE(std::all_of(glyphs.begin() + 2, glyphs.end(), [](const SurveyedGlyph& g) { return g.hash == 0; }));
  REQUIRE(dropped.shared == 1);
  REQUIRE(dropped.placeholders == 1 + kMaxSharedOutline + 1);
  REQUIRE(dropped.empty == 1);
}

TEST_CASE("characters are ranked by the faces that draw them in their own way", "[render]") {
  Survey survey;
  survey.characters = {10, 11, 12, 13};
  //                 one outline for all, two, three, held-out face only
  survey.faces = {{glyph(1), glyph(2), glyph(3), glyph(0)},
                  {glyph(1), glyph(2), glyph(4), glyph(0)},
                  {glyph(1), glyph(5), glyph(6), glyph(8)}};

  REQUIRE(rank_characters(survey, 3, 1) == std::vector<std::size_t>{2, 1, 0, 3});
  REQUIRE(rank_characters(survey, 3, 2) == std::vector<std::size_t>{2, 1});
  REQUIRE(rank_characters(survey, 2, 1) == std::vector<std::size_t>{2, 1, 0});
  REQUIRE(rank_characters(survey, 2, 2) == std::vector<std::size_t>{2});
}

TEST_CASE("held-out classes depend on the seed and not on the order", "[render]") {
  std::vector<char32_t> characters = parse({"4E00-4EFF"});
  const auto chosen = choose_held_out(characters, 20, 1);
  std::reverse(characters.begin(), characters.end());

  REQUIRE(chosen.size() == 20);
  REQUIRE(std::is_sorted(chosen.begin(), chosen.end()));
  REQUIRE(choose_held_out(characters, 20, 1) == chosen);
  REQUIRE(choose_held_out(characters, 20, 2) != chosen);
  REQUIRE(choose_held_out(characters, 0, 1).empty());
}

TEST_CASE("drawings are compared by their ink", "[render]") {
  const std::vector<std::uint8_t> white(4, 255);
  const std::vector<std::uint8_t> left = {0, 0, 255, 255};
  const std::vector<std::uint8_t> right = {255, 255, 0, 0};
  const std::vector<std::uint8_t> nearly = {0, 51, 255, 255};

  REQUIRE(drawing_difference(left, left) == 0.0);
  REQUIRE(drawing_difference(left, right) == Approx(2.0));
  REQUIRE(drawing_difference(left, nearly) == Approx(0.1));
  REQUIRE(drawing_difference(white, white) == 0.0);
}

TEST_CASE("pairs are balanced in ten folds of separate classes", "[render]") {
  const auto images = image_names(100, 5);

  const auto pairs = make_pairs(images, 400, 7);

  REQUIRE(pairs.size() == 400);
  std::map<std::string, int> fold_of_class;
  std::set<std::pair<std::string, std::string>> seen;
  for (int i = 0; i < 400; ++i) {
    const ImagePair& pair = pairs[static_cast<std::size_t>(i)];
    REQUIRE(pair.same == (i % 40 < 20));
    REQUIRE(pair.same == (class_of(pair.first) == class_of(pair.second)));
    REQUIRE(pair.first != pair.second);
    REQUIRE(seen.insert({pair.first, pair.second}).second);
    for (const std::string& path : {pair.first, pair.second}) {
      REQUIRE(fold_of_class.emplace(class_of(path), i / 40).first->second == i / 40);
    }
  }
}

TEST_CASE("pairs are a function of the seed", "[render]") {
  const auto images = image_names(60, 4);
  const auto paths = [&](std::uint64_t seed) {
    std::string text;
    for (const ImagePair& pair : make_pairs(images, 100, seed)) text += pair.first + pair.second;
    return text;
  };

  REQUIRE(paths(1) == paths(1));
  REQUIRE(paths(1) != paths(2));
  REQUIRE(make_pairs({}, 0, 1).empty());
}

TEST_CASE("impossible numbers of pairs are refused", "[render]") {
  const auto message = [](int classes, int faces, int count) {
    return error_of([&] { make_pairs(image_names(classes, faces), count, 1); }).message();
  };

  REQUIRE_THAT(message(100, 5, 50), Contains("multiple of 20"));
  REQUIRE_THAT(message(9, 5, 100), Contains("Hold out more classes"));
  REQUIRE_THAT(message(20, 2, 2000), Contains("2000 verification pairs") && Contains("fewer pairs"));
}

TEST_CASE("a face's usual extent fills the image", "[render]") {
  std::vector<SurveyedGlyph> glyphs(200, glyph(1));
  for (SurveyedGlyph& g : glyphs) {
    g.left = -450;
    g.right = 450;
    g.bottom = -80;
    g.top = 820;
  }
  glyphs[0].top = 5000;  // one outlier does not shrink the face

  const FacePlacement placement = place_face(glyphs, 1000, 50, 0.05);

  REQUIRE(placement.scale == Approx(45.0 / 900));
  REQUIRE(placement.centre_y == Approx(370));
  const FontTransform t = plain_transform(placement, 500, 50);
  REQUIRE(t.xx * 500 + t.x0 == Approx(25));
  REQUIRE(t.yy * 370 + t.y0 == Approx(25));
  REQUIRE(t.yy * 820 + t.y0 == Approx(2.5));
}

TEST_CASE("a face of small glyphs only is not blown up", "[render]") {
  std::vector<SurveyedGlyph> glyphs(3, glyph(1));
  for (SurveyedGlyph& g : glyphs) g.top = 10;

  REQUIRE(place_face(glyphs, 1000, 60, 0).scale == Approx(0.1));
}

TEST_CASE("jitter turns, scales and shifts about the middle of the image", "[render]") {
  const FontTransform plain = plain_transform({0.05, 500}, 500, 50);
  const FontTransform t = jittered_transform(plain, 50, std::numbers::pi / 2, 2.0, 3.0, -4.0);
  const auto at = [&](double x, double y) { return std::pair(t.xx * x + t.xy * y + t.x0, t.yx * x + t.yy * y + t.y0); };

  REQUIRE(at(500, 500).first == Approx(28));
  REQUIRE(at(500, 500).second == Approx(21));
  REQUIRE(at(600, 500).first == Approx(28));
  REQUIRE(at(600, 500).second == Approx(31));  // 5 pixels to the right, turned by 90 degrees and doubled
}

TEST_CASE("the parallel loop runs every item once and passes errors on", "[render]") {
  std::vector<std::atomic<int>> runs(1000);
  std::size_t last_tick = 0;

  parallel_for(
      3, runs.size(), [&](std::size_t i) { ++runs[i]; }, [&](std::size_t done) { last_tick = done; });

  REQUIRE(std::all_of(runs.begin(), runs.end(), [](const auto& count) { return count == 1; }));
  REQUIRE(last_tick == runs.size());
  parallel_for(3, 0, [](std::size_t) { throw std::runtime_error("not called"); });
  REQUIRE_THROWS_WITH(parallel_for(3, 50,
                                   [](std::size_t i) {
                                     if (i == 20) throw std::runtime_error("item 20");
                                   }),
                      "item 20");
  REQUIRE(rendering_threads(5) == 5);
  REQUIRE(rendering_threads(0) >= 1);
}

}  // namespace plsc::data
