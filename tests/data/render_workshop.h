#pragma once
// Fonts that tests make, options that fit them, and the files that rendering leaves.

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "data/errors.h"
#include "data/font_maker.h"
#include "plsc/data/render.h"
#include "support/images.h"
#include "support/temp_dir.h"

namespace plsc::data {

inline constexpr char32_t kFirst = 0x4E00;

inline std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Lines of a list as fields.
inline std::vector<std::vector<std::string>> rows_of(const std::filesystem::path& path) {
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
inline std::map<std::string, std::string> contents_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file())
      contents[std::filesystem::relative(entry.path(), folder).string()] = text_of(entry.path());
  }
  return contents;
}

/// Three training faces and one for the test, 60 characters.
class Workshop {
 public:
  Workshop() {
    add("thin.ttf", test::font_bytes(test::patterned_font("Thin", kFirst, 60, 40)));
    add("medium.ttf", test::font_bytes(test::patterned_font("Medium", kFirst, 60, 80)));
    add("bold.ttf", test::font_bytes(test::patterned_font("Bold", kFirst, 60, 130)));
    add("broad.ttf", test::font_bytes(test::patterned_font("Broad", kFirst, 60, 180)));
    options.fonts = {(folder_ / "fonts").string()};
    options.min_faces = 3;
    options.held_out_faces = {"broad.ttf"};
    options.size = 24;
    options.duplicate_tolerance = 0.02;
    options.threads = 2;
    options.output = (folder_ / "set").string();
  }
  void add(const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(folder_ / "fonts");
    test::write_file(folder_ / "fonts" / name, bytes);
  }
  std::string font(const std::string& name) const { return (folder_ / "fonts" / name).string(); }
  std::filesystem::path out(const std::string& name) const { return std::filesystem::path(options.output) / name; }
  RenderResult render() const { return render_characters(options); }
  std::string error(ErrorCode code) const {
    const Error error = test::error_of([&] { render(); });
    INFO(error.what());
    CHECK(error.code() == code);
    CHECK_FALSE(std::filesystem::exists(options.output + ".tmp"));
    return error.what();
  }

  RenderOptions options;

 private:
  test::TempDir folder_;
};

}  // namespace plsc::data
