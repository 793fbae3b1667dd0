// What rendering refuses, and what it says.
#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/errors.h"
#include "data/font_maker.h"
#include "data/render_output.h"
#include "data/render_workshop.h"
#include "plsc/data/render.h"
#include "support/images.h"

namespace plsc::data {

namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using test::error_of;
using test::patterned_font;

}  // namespace

TEST_CASE("a held-out face that is a copy of a training face is an error", "[render]") {
  Workshop work;
  work.add("copy.ttf", font_bytes(patterned_font("Copy", kFirst, 60, 130)));
  work.options.held_out_faces = {"copy.ttf"};

  REQUIRE_THAT(work.error(ErrorCode::data), Contains("give no test image") && Contains("another design"));
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

}  // namespace plsc::data
