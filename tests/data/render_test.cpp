// The whole renderer, with fonts that the tests make.
#include "plsc/data/render.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "data/errors.h"
#include "data/font_maker.h"
#include "data/render_output.h"
#include "plsc/data/source.h"
#include "support/images.h"
#include "support/temp_dir.h"

namespace plsc::data {

namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using test::error_of;
using test::patterned_font;
using test::TempDir;

constexpr char32_t kFirst = 0x4E00;

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Lines of a list as fields.
std::vector<std::vector<std::string>> rows_of(const fs::path& path) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::vector<std::string>& row = rows.emplace_back();
    for (std::string field; std::getline(fields, field, '\t');) row.push_back(field);
  }
  return rows;
}

/// All files below a folder with their contents.
std::map<std::string, std::string> contents_of(const fs::path& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) contents[fs::relative(entry.path(), folder).string()] = text_of(entry.path());
  }
  return contents;
}

/// Three training faces and one for the test, 60 characters.
class Workshop {
 public:
  Workshop() {
    add("thin.ttf", font_bytes(patterned_font("Thin", kFirst, 60, 40)));
    add("medium.ttf", font_bytes(patterned_font("Medium", kFirst, 60, 80)));
    add("bold.ttf", font_bytes(patterned_font("Bold", kFirst, 60, 130)));
    add("broad.ttf", font_bytes(patterned_font("Broad", kFirst, 60, 180)));
    options.fonts = {(folder_ / "fonts").string()};
    options.min_faces = 3;
    options.held_out_faces = {"broad.ttf"};
    options.size = 24;
    options.duplicate_tolerance = 0.02;
    options.threads = 2;
    options.output = (folder_ / "set").string();
  }
  void add(const std::string& name, const std::string& bytes) {
    fs::create_directories(folder_ / "fonts");
    test::write_file(folder_ / "fonts" / name, bytes);
  }
  std::string font(const std::string& name) const { return (folder_ / "fonts" / name).string(); }
  fs::path out(const std::string& name) const { return fs::path(options.output) / name; }
  RenderResult render() const { return render_characters(options); }
  std::string error(ErrorCode code) const {
    const Error error = error_of([&] { render(); });
    INFO(error.what());
    CHECK(error.code() == code);
    CHECK_FALSE(fs::exists(options.output + ".tmp"));
    return error.what();
  }

  RenderOptions options;

 private:
  TempDir folder_;
};

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

TEST_CASE("a held-out face that is a copy of a training face is an error", "[render]") {
  Workshop work;
  work.add("copy.ttf", font_bytes(patterned_font("Copy", kFirst, 60, 130)));
  work.options.held_out_faces = {"copy.ttf"};

  REQUIRE_THAT(work.error(ErrorCode::data), Contains("give no test image") && Contains("another design"));
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

TEST_CASE("folders of the user are never overwritten", "[render]") {
  Workshop work;
  fs::create_directories(work.options.output);
  test::write_file(work.out("thesis.txt"), std::string_view("precious"));

  REQUIRE_THAT(work.error(ErrorCode::usage), Contains("is not a rendered set") && Contains("move this one away"));
  REQUIRE(text_of(work.out("thesis.txt")) == "precious");

  fs::rename(work.options.output, work.options.output + ".tmp");
  const Error error = error_of([&] { work.render(); });
  REQUIRE_THAT(error.message(), Contains("is in the way") && Contains("set.tmp"));
  REQUIRE(text_of(work.options.output + ".tmp/thesis.txt") == "precious");
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

TEST_CASE("two renderings into one folder are refused", "[render]") {
  Workshop work;
  const StagingFolder other(work.options.output);

  const Error error = error_of([&] { work.render(); });

  REQUIRE(error.code() == ErrorCode::usage);
  REQUIRE_THAT(error.message(), Contains("Another process is rendering"));
  REQUIRE(fs::exists(other.path()));
}

TEST_CASE("a damaged render.json is an error", "[render]") {
  Workshop work;
  work.render();
  test::write_file(work.out("render.json"), std::string_view("{\"options\": "));

  REQUIRE_THAT(work.error(ErrorCode::data), Contains("render.json") && Contains("Move the folder away"));
}

TEST_CASE("fonts that cannot be used are skipped in folders and errors when named", "[render]") {
  Workshop work;
  work.add("broken.ttf", "this is not a font file");
  const RenderResult result = work.render();

  REQUIRE(result.skipped_fonts.size() == 1);
  REQUIRE_THAT(result.skipped_fonts[0], Contains("broken.ttf") && Contains("not a font"));
  work.options.output += "2";
  work.options.fonts.push_back(work.font("broken.ttf"));
  REQUIRE_THAT(work.error(ErrorCode::data), Contains("broken.ttf") && Contains("is not a font"));
}

TEST_CASE("wrong fonts are clear errors", "[render]") {
  Workshop work;
  work.add("latin.ttf", font_bytes(patterned_font("Latin", U'A', 20, 60)));

  work.options.fonts = {};
  REQUIRE_THAT(work.error(ErrorCode::usage), Contains("No fonts are given"));
  work.options.fonts = {"/nowhere/a.ttf"};
  REQUIRE_THAT(work.error(ErrorCode::io),
               Contains("/nowhere/a.ttf") && Contains("does not exist") && Contains("install"));
  work.options.fonts = {"/nowhere/*.ttf"};
  REQUIRE_THAT(work.error(ErrorCode::io), Contains("No font file was found"));
  work.options.fonts = {work.font("thin.ttf") + "#3"};
  REQUIRE_THAT(work.error(ErrorCode::usage), Contains("has no face #3"));
  work.options.fonts = {work.font("thin.ttf"), work.font("broad.ttf"), work.font("latin.ttf")};
  REQUIRE_THAT(work.error(ErrorCode::data),
               Contains("latin.ttf") && Contains("no glyph in the range") && Contains("U+4E00"));
  work.options.fonts = {work.font("latin*")};
  work.options.held_out_faces = {};
  REQUIRE_THAT(work.error(ErrorCode::data), Contains("None of the 1 font faces"));
}

TEST_CASE("wrong selections are clear errors", "[render]") {
  Workshop work;

  work.options.held_out_faces = {"Garamond"};
  REQUIRE_THAT(work.error(ErrorCode::usage),
               Contains("'Garamond' is none of the fonts") && Contains("broad.ttf#0 (Broad)"));
  work.options.held_out_faces = {};
  work.options.exclude = {"nothing"};
  REQUIRE_THAT(work.error(ErrorCode::usage), Contains("to leave out"));
  work.options.exclude = {"broad"};
  work.options.held_out_faces = {"thin", "medium", "bold"};
  REQUIRE_THAT(work.error(ErrorCode::usage), Contains("No font face is left to train on"));
  work.options.exclude = {};
  work.options.held_out_faces = {"broad"};
  work.options.num_classes = 61;
  REQUIRE_THAT(work.error(ErrorCode::data),
               Contains("Only 60 classes can be drawn, 61 are needed") && Contains("3 training"));
  work.options.num_classes = 0;
  work.options.held_out_classes = 60;
  REQUIRE_THAT(work.error(ErrorCode::data), Contains("Only 60 classes"));
  work.options.held_out_classes = 10;
  work.options.pairs = 20;
  REQUIRE_THAT(work.error(ErrorCode::usage), Contains("20 verification pairs cannot be made"));
}

TEST_CASE("options out of bounds are errors that name them", "[render]") {
  using Change = std::pair<const char*, void (*)(RenderOptions&)>;
  const std::array changes = {
      Change{"size", [](RenderOptions& o) { o.size = 4; }},
      Change{"margin", [](RenderOptions& o) { o.margin = 0.5; }},
      Change{"min_faces", [](RenderOptions& o) { o.min_faces = 0; }},
      Change{"num_classes", [](RenderOptions& o) { o.num_classes = -1; }},
      Change{"held_out_classes", [](RenderOptions& o) { o.held_out_classes = -1; }},
      Change{"multiple of 20", [](RenderOptions& o) { o.pairs = 30; }},
      Change{"pairs are made of held-out classes", [](RenderOptions& o) { o.pairs = 20; }},
      Change{"duplicate_tolerance", [](RenderOptions& o) { o.duplicate_tolerance = 1; }},
      Change{"jitter.variants", [](RenderOptions& o) { o.jitter.variants = -1; }},
      Change{"jitter.rotation", [](RenderOptions& o) { o.jitter.rotation = 181; }},
      Change{"jitter.scale", [](RenderOptions& o) { o.jitter.scale = 1; }},
      Change{"jitter.shift", [](RenderOptions& o) { o.jitter.shift = -1; }},
      Change{"jpeg_quality", [](RenderOptions& o) { o.jpeg_quality = 0; }},
      Change{"threads", [](RenderOptions& o) { o.threads = -1; }},
      Change{"No output folder", [](RenderOptions& o) { o.output.clear(); }},
  };
  const RenderOptions good = Workshop().options;
  for (const auto& [words, change] : changes) {
    RenderOptions options = good;
    change(options);

    const Error error = error_of([&] { render_characters(options); });

    REQUIRE(error.code() == ErrorCode::usage);
    REQUIRE_THAT(error.message(), Contains(words));
  }
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

TEST_CASE("writing to a full disk or a missing folder is an error with its cause", "[render]") {
  if (fs::exists("/dev/full")) {
    const Error full = error_of([] { write_file("/dev/full", "text"); });
    REQUIRE(full.code() == ErrorCode::io);
    REQUIRE_THAT(full.message(), Contains("No space left on device") && Contains("Free space"));
  }
  REQUIRE_THAT(error_of([] { write_file("/nowhere/a.txt", "text"); }).message(), Contains("/nowhere/a.txt"));
  const Error folder = error_of([] { StagingFolder("/proc/set"); });
  REQUIRE(folder.code() == ErrorCode::io);
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
