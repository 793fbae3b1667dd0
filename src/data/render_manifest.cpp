// render.json: what a character set was made from, so that the same set is not drawn twice.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "data/render_output.h"
#include "plsc/core/error.h"

namespace plsc::data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kRendererVersion = 1;  ///< raised when the same options give other pictures

/// Everything that decides what the set contains.
Json request_json(const RenderOptions& o, const std::vector<FontRequest>& fonts) {
  Json files = Json::array();
  for (const FontRequest& font : fonts)
    files.push_back({{"file", font.path}, {"face", font.face}, {"bytes", font.bytes}});
  return {{"renderer", kRendererVersion},
          {"fonts", files},
          {"exclude", o.exclude},
          {"characters", o.characters},
          {"held_out_faces", o.held_out_faces},
          {"num_classes", o.num_classes},
          {"held_out_classes", o.held_out_classes},
          {"pairs", o.pairs},
          {"min_faces", o.min_faces},
          {"size", o.size},
          {"margin", o.margin},
          {"duplicate_tolerance", o.duplicate_tolerance},
          {"jitter",
           {{"variants", o.jitter.variants},
            {"rotation", o.jitter.rotation},
            {"scale", o.jitter.scale},
            {"shift", o.jitter.shift}}},
          {"format", image_suffix(o.format)},
          {"jpeg_quality", o.jpeg_quality},
          {"seed", o.seed}};
}

Json result_json(const RenderResult& r) {
  Json faces = Json::array();
  for (const RenderedFace& face : r.faces) {
    faces.push_back({{"name", face.name},
                     {"file", face.file},
                     {"index", face.index},
                     {"family", face.family},
                     {"held_out", face.held_out},
                     {"images", face.images}});
  }
  return {{"classes", r.classes},
          {"held_out_classes", r.held_out_classes},
          {"train_images", r.train_images},
          {"test_images", r.test_images},
          {"pairs", r.pairs},
          {"faces", faces},
          {"skipped_fonts", r.skipped_fonts},
          {"dropped",
           {{"empty", r.dropped.empty},
            {"placeholders", r.dropped.placeholders},
            {"shared", r.dropped.shared},
            {"duplicates", r.dropped.duplicates},
            {"held_out_duplicates", r.dropped.held_out_duplicates},
            {"thin_classes", r.dropped.thin_classes}}}};
}

RenderResult parse_result(const Json& json) {
  RenderResult r;
  r.reused = true;
  r.classes = json.at("classes");
  r.held_out_classes = json.at("held_out_classes");
  r.train_images = json.at("train_images");
  r.test_images = json.at("test_images");
  r.pairs = json.at("pairs");
  for (const Json& face : json.at("faces")) {
    r.faces.push_back({face.at("name"), face.at("file"), face.at("index"), face.at("family"), face.at("held_out"),
                       face.at("images")});
  }
  r.skipped_fonts = json.at("skipped_fonts").get<std::vector<std::string>>();
  const Json& dropped = json.at("dropped");
  r.dropped = {dropped.at("empty"),      dropped.at("placeholders"),        dropped.at("shared"),
               dropped.at("duplicates"), dropped.at("held_out_duplicates"), dropped.at("thin_classes")};
  return r;
}

/// "min_faces is 8 there, 4 asked" for every difference; font lists are not spelled out.
std::vector<std::string> differences(const Json& there, const Json& asked) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : asked.items()) {
    const Json other = there.contains(key) ? there.at(key) : Json();
    if (other == value) continue;
    if (key == "fonts") {
      lines.push_back("the font files are others");
    } else {
      lines.push_back(fmt::format("{} is {} there, {} asked", key, other.dump(), value.dump()));
    }
  }
  return lines;
}

}  // namespace

std::string manifest_text(const RenderOptions& options, const std::vector<FontRequest>& fonts,
                          const RenderResult& result) {
  const Json manifest = {{"options", request_json(options, fonts)}, {"result", result_json(result)}};
  return manifest.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::optional<RenderResult> existing_result(const RenderOptions& options, const std::vector<FontRequest>& fonts) {
  const fs::path output = options.output;
  std::error_code failure;
  if (!fs::exists(output, failure) || (fs::is_directory(output) && fs::is_empty(output, failure))) return std::nullopt;
  std::ifstream file(output / "render.json");
  if (!file) {
    throw Error(ErrorCode::usage,
                fmt::format("Output '{}' exists and is not a rendered set (it has no render.json). Choose "
                            "another output folder or move this one away.",
                            options.output));
  }
  std::vector<std::string> changed;
  try {
    const Json manifest = Json::parse(file);
    changed = differences(manifest.at("options"), request_json(options, fonts));
    if (changed.empty()) return parse_result(manifest.at("result"));
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::data,
                fmt::format("'{}/render.json' cannot be read ({}). Move the folder away and render again.",
                            options.output, error.what()));
  }
  throw Error(ErrorCode::usage,
              fmt::format("Output '{}' holds a set of other options ({}). Choose another output folder, or "
                          "remove this one to render again.",
                          options.output, fmt::join(changed, "; ")));
}

}  // namespace plsc::data
