// The whole renderer, with fonts that the tests make.
#include "plsc/data/render.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "data/font_maker.h"
#include "data/render_workshop.h"
#include "plsc/data/source.h"
#include "support/images.h"

namespace plsc::data {

namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using test::patterned_font;

}  // namespace

TEST_CASE("a set has dense labels, a held-out face and held-out classes", "[render]") {
  Workshop work;
  work.options.held_out_classes = 20;
  work.options.pairs = 40;
  work.options.min_faces = 2;

  const RenderResult result = work.render();

  REQUIRE_FALSE(result.reused);
  REQUIRE(result.classes == 40);
  REQUIRE(result.held_out_classes == 20);
  REQUIRE(result.train_images == 3 * 40);
  REQUIRE(result.test_images == 40);
  REQUIRE(result.pairs == 40);
  std::set<std::string> training;
  std::set<std::string> labels;
  for (const auto& row : rows_of(work.out("train.txt"))) {
    REQUIRE(row.size() == 2);
    REQUIRE(fs::exists(work.out(row[0])));
    REQUIRE_THAT(row[0], !Contains("broad"));
    training.insert(fs::path(row[0]).parent_path().string());
    labels.insert(row[1]);
  }
  REQUIRE(labels.size() == 40);
  REQUIRE(labels.count("0") == 1);
  REQUIRE(labels.count("39") == 1);
  for (const auto& row : rows_of(work.out("test.txt"))) {
    REQUIRE_THAT(row[0], Contains("broad"));
    REQUIRE(training.count(fs::path(row[0]).parent_path().string()) == 1);
  }
  for (const auto& row : rows_of(work.out("pairs.txt"))) {
    REQUIRE(row.size() == 3);
    for (int side = 0; side < 2; ++side) {
      const fs::path path = row[static_cast<std::size_t>(side)];
      REQUIRE(fs::exists(work.out(path.string())));
      REQUIRE(training.count(path.parent_path().string()) == 0);
    }
    REQUIRE((fs::path(row[0]).parent_path() == fs::path(row[1]).parent_path()) == (row[2] == "1"));
  }
  const auto classes = rows_of(work.out("classes.tsv"));
  REQUIRE(classes.size() == 61);
  REQUIRE(classes[0] == std::vector<std::string>{"label", "code_point", "character", "faces"});
  REQUIRE_FALSE(fs::exists(work.options.output + ".tmp"));
  REQUIRE_FALSE(fs::exists(work.out("render.lock")));
}

TEST_CASE("the list opens as a training source", "[render]") {
  Workshop work;
  work.render();
  config::DataConfig config;
  config.list = work.out("train.txt").string();

  const auto source = open_source(config);

  REQUIRE(source->size() == 180);
  REQUIRE(source->num_classes() == 60);
  std::vector<std::byte> bytes;
  source->read(179, bytes);
  Image image;
  ImageDecoder().decode(bytes, image);
  REQUIRE(image.width == 24);
  REQUIRE(image.height == 24);
  REQUIRE(*std::min_element(image.pixels.begin(), image.pixels.end()) < 64);
  REQUIRE(image.pixels.front() == 255);
}

TEST_CASE("the same options give the same bytes with any number of threads", "[render]") {
  Workshop work;
  work.options.jitter.variants = 2;
  work.options.threads = 1;
  work.render();
  const auto first = contents_of(work.options.output);
  fs::rename(work.options.output, work.options.output + ".first");
  work.options.threads = 3;

  work.render();

  REQUIRE(contents_of(work.options.output) == first);
}

TEST_CASE("jittered copies are for training only and differ", "[render]") {
  Workshop work;
  work.options.jitter.variants = 2;

  const RenderResult result = work.render();

  REQUIRE(result.train_images == 60 * 3 * 3);
  REQUIRE(result.test_images == 60);
  const std::string folder = "images/U+4E05/";
  const std::string plain = text_of(work.out(folder + "bold-0.png"));
  const std::string v1 = text_of(work.out(folder + "bold-0.v1.png"));
  REQUIRE_FALSE(v1.empty());
  REQUIRE(v1 != plain);
  REQUIRE(v1 != text_of(work.out(folder + "bold-0.v2.png")));
  REQUIRE_FALSE(fs::exists(work.out(folder + "broad-0.v1.png")));
}

TEST_CASE("faces that draw alike are duplicates", "[render]") {
  Workshop work;
  work.add("bold-copy.ttf", font_bytes(patterned_font("Bold Copy", kFirst, 60, 130)));
  work.add("faces.ttc", test::collection_bytes(
                            {patterned_font("Tall", kFirst, 60, 100), patterned_font("Tall Mono", kFirst, 60, 100)}));

  const RenderResult result = work.render();

  REQUIRE(result.dropped.duplicates == 60 + 60);
  REQUIRE(result.train_images == 4 * 60);
  const auto face =
      std::find_if(result.faces.begin(), result.faces.end(), [](const RenderedFace& f) { return f.index == 1; });
  REQUIRE(face->family == "Tall Mono");
  REQUIRE(face->images == 0);
}

TEST_CASE("a held-out face cannot repeat training drawings", "[render]") {
  Workshop work;
  test::MadeFont leaky = patterned_font("Leaky", kFirst, 60, 130);
  const test::MadeFont other = patterned_font("Other", kFirst, 60, 160);
  for (char32_t c = kFirst; c < kFirst + 10; ++c) leaky.glyphs[c] = other.glyphs.at(c);
  work.add("leaky.ttf", font_bytes(leaky));
  work.options.held_out_faces = {"leaky.ttf"};

  const RenderResult result = work.render();

  REQUIRE(result.test_images == 10);
  REQUIRE(result.dropped.held_out_duplicates == 50);
}

TEST_CASE("empty glyphs, placeholders and thin classes are dropped and counted", "[render]") {
  Workshop work;
  test::MadeFont liar = patterned_font("Liar", kFirst, 5, 60);
  liar.glyphs[kFirst + 5] = {};
  for (char32_t c = kFirst + 6; c < kFirst + 26; ++c) liar.glyphs[c] = liar.notdef;
  work.add("liar.ttf", font_bytes(liar));
  work.options.min_faces = 4;

  const RenderResult result = work.render();

  REQUIRE(result.classes == 5);
  REQUIRE(result.dropped.empty == 1);
  REQUIRE(result.dropped.placeholders == 20);
  REQUIRE(result.dropped.thin_classes == 0x9FFF - 0x4E00 + 1 - 5);
}

TEST_CASE("the best covered characters come first", "[render]") {
  Workshop work;
  work.add("extra.ttf", font_bytes(patterned_font("Extra", kFirst + 30, 10, 60)));
  work.options.num_classes = 12;

  work.render();

  std::set<std::string> characters;
  const auto rows = rows_of(work.out("classes.tsv"));
  for (const auto& row : rows) characters.insert(row[1]);
  REQUIRE(rows.size() == 13);
  REQUIRE(characters.count("U+4E1E") == 1);  // 4E00 + 30 to 39
  REQUIRE(characters.count("U+4E27") == 1);
  REQUIRE(characters.count("U+4E00") == 1);  // then by code point
  REQUIRE(characters.count("U+4E01") == 1);
}

TEST_CASE("a finished set is reused, another one is not touched", "[render]") {
  Workshop work;
  const RenderResult first = work.render();
  const auto before = contents_of(work.options.output);

  const RenderResult again = work.render();
  work.options.threads = 1;
  const RenderResult other_threads = work.render();
  work.options.size = 32;
  const std::string message = work.error(ErrorCode::usage);

  REQUIRE(again.reused);
  REQUIRE(other_threads.reused);
  REQUIRE(again.train_images == first.train_images);
  REQUIRE(again.faces.size() == 4);
  REQUIRE(again.dropped.thin_classes == first.dropped.thin_classes);
  REQUIRE_THAT(message, Contains("size is 24 there, 32 asked") && Contains("Choose another output folder"));
  REQUIRE(contents_of(work.options.output) == before);
}

TEST_CASE("other font files are another set", "[render]") {
  Workshop work;
  work.render();
  work.add("more.ttf", font_bytes(patterned_font("More", kFirst, 60, 60)));

  REQUIRE_THAT(work.error(ErrorCode::usage), Contains("font files are others"));
}

TEST_CASE("an empty folder is filled and an interrupted rendering is replaced", "[render]") {
  Workshop work;
  fs::create_directories(work.options.output);
  fs::create_directories(work.options.output + ".tmp/images");
  test::write_file(work.options.output + ".tmp/render.lock", std::string_view(""));
  test::write_file(work.options.output + ".tmp/images/old.png", std::string_view("old"));

  work.render();

  REQUIRE(fs::exists(work.out("train.txt")));
  REQUIRE_FALSE(fs::exists(work.out("images/old.png")));
}

TEST_CASE("JPEG sets and progress", "[render]") {
  Workshop work;
  work.options.format = RenderFormat::jpeg;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> calls;
  work.options.progress = [&](std::uint64_t done, std::uint64_t total) { calls.emplace_back(done, total); };

  work.render();

  const std::string bytes = text_of(work.out("images/U+4E00/bold-0.jpg"));
  REQUIRE(bytes.substr(0, 2) == "\xFF\xD8");
  REQUIRE(calls.size() >= 2);
  REQUIRE(std::is_sorted(calls.begin(), calls.end()));
  REQUIRE(calls.front().first == 0);
  REQUIRE(calls.back() == std::pair<std::uint64_t, std::uint64_t>{60, 60});
}

TEST_CASE("installed CJK fonts give pictures without repeats", "[render]") {
  std::vector<std::string> fonts;
  for (const char* path :
       {"/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
        "/usr/share/fonts/truetype/arphic/uming.ttc", "/usr/share/fonts/opentype/unifont/unifont.otf"}) {
    if (fs::exists(path)) fonts.emplace_back(path);
  }
  if (fonts.size() < 2) {
    WARN("skipped: fewer than two of fonts-wqy-microhei, fonts-wqy-zenhei, fonts-arphic-uming, unifont are installed");
    return;
  }
  Workshop work;
  work.options.fonts = fonts;
  work.options.characters = {"4E00-4E3F"};
  work.options.held_out_faces = {};
  work.options.min_faces = 2;

  const RenderResult result = work.render();

  REQUIRE(result.classes > 40);
  REQUIRE(result.dropped.duplicates >= result.classes);  // the "Mono" faces of the collections
  for (const auto& row : rows_of(work.out("train.txt"))) REQUIRE(text_of(work.out(row[0])).size() > 70);
}

}  // namespace plsc::data
