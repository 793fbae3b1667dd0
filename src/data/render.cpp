#include "plsc/data/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "data/render_characters.h"
#include "data/render_draw.h"
#include "data/render_fonts.h"
#include "data/render_output.h"
#include "data/render_parallel.h"
#include "data/render_select.h"
#include "data/render_survey.h"
#include "plsc/core/error.h"

namespace plsc::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunkBytes = std::size_t{64} << 20;  ///< pixels held at a time

void require(bool ok, const char* name, const std::string& value, const char* bounds) {
  if (ok) return;
  throw Error(ErrorCode::usage, fmt::format("{} is {} (out of bounds). Choose {}.", name, value, bounds));
}

void check_options(const RenderOptions& o) {
  const auto text = [](auto value) { return fmt::format("{}", value); };
  if (o.output.empty()) throw Error(ErrorCode::usage, "No output folder is given (nowhere to write). Name one.");
  require(o.size >= 8 && o.size <= 1024, "size", text(o.size), "8 to 1024 pixels");
  require(o.margin >= 0 && o.margin <= 0.4, "margin", text(o.margin), "0 to 0.4 of the image");
  require(o.min_faces >= 1, "min_faces", text(o.min_faces), "1 or more");
  require(o.num_classes >= 0, "num_classes", text(o.num_classes), "0 (all) or more");
  require(o.held_out_classes >= 0, "held_out_classes", text(o.held_out_classes), "0 or more");
  require(o.pairs >= 0 && o.pairs % (2 * kFolds) == 0, "pairs", text(o.pairs),
          "0 or a multiple of 20 (ten folds, each half "
          "same, half different)");
  require(o.pairs == 0 || o.held_out_classes > 0, "held_out_classes", text(o.held_out_classes),
          "more than 0: pairs are made "
          "of held-out classes");
  require(o.duplicate_tolerance >= 0 && o.duplicate_tolerance < 1, "duplicate_tolerance", text(o.duplicate_tolerance),
          "0 to 1");
  require(o.jitter.variants >= 0 && o.jitter.variants <= 1000, "jitter.variants", text(o.jitter.variants), "0 to 1000");
  require(o.jitter.rotation >= 0 && o.jitter.rotation <= 180, "jitter.rotation", text(o.jitter.rotation),
          "0 to 180 degrees");
  require(o.jitter.scale >= 0 && o.jitter.scale < 1, "jitter.scale", text(o.jitter.scale), "0 to 1");
  require(o.jitter.shift >= 0 && o.jitter.shift < 1, "jitter.shift", text(o.jitter.shift), "0 to 1");
  require(o.jpeg_quality >= 1 && o.jpeg_quality <= 100, "jpeg_quality", text(o.jpeg_quality), "1 to 100");
  require(o.threads >= 0, "threads", text(o.threads), "0 (all cores) or more");
}

/// A character that stays: which faces' drawings of it were written.
struct KeptCharacter {
  std::size_t character = 0;  ///< index into the survey
  std::vector<std::size_t> faces;
};

/// One run of the renderer.
class Renderer {
 public:
  Renderer(const RenderOptions& options, OpenedFonts fonts, const fs::path& folder)
      : options_(options), fonts_(std::move(fonts)), folder_(folder), threads_(rendering_threads(options.threads)) {}

  RenderResult run();

 private:
  void draw_all(const Studio& studio);
  void write_drawings(const KeptCharacter& kept, const DrawnCharacter& drawn) const;
  void check_enough(std::size_t characters) const;
  void split_classes();
  void draw_variants(const Studio& studio);
  void write_lists();
  void report(std::size_t done) const;

  bool is_training_face(std::size_t face) const { return !fonts_.faces[face].description.held_out; }
  std::size_t wanted() const {
    return options_.num_classes == 0 ? SIZE_MAX
                                     : static_cast<std::size_t>(options_.num_classes + options_.held_out_classes);
  }
  std::string image_path(std::size_t character, std::size_t face, int variant) const {
    const std::string suffix = variant == 0 ? "" : fmt::format(".v{}", variant);
    return fmt::format("images/{}/{}{}{}", code_point_text(survey_.characters[character]),
                       fonts_.faces[face].description.name, suffix, image_suffix(options_.format));
  }
  void write_image(std::size_t character, std::size_t face, int variant, std::span<const std::uint8_t> pixels) const {
    write_file(folder_ / image_path(character, face, variant),
               encode_image(pixels, options_.size, options_.format, options_.jpeg_quality));
  }

  const RenderOptions& options_;
  OpenedFonts fonts_;
  fs::path folder_;
  int threads_;
  Survey survey_;
  std::vector<KeptCharacter> kept_;
  std::vector<KeptCharacter> training_;  ///< in order of code point: the label is the index
  std::vector<KeptCharacter> held_out_;
  RenderResult result_;
  std::size_t total_ = 0;  ///< classes to draw, twice with jitter
};

void Renderer::report(std::size_t done) const {
  if (options_.progress) options_.progress(std::min(done, total_), total_);
}

RenderResult Renderer::run() {
  survey_ = survey_faces(fonts_.faces, parse_characters(options_.characters), threads_, result_.dropped);
  const Studio studio = make_studio(fonts_.faces, survey_, options_);
  draw_all(studio);
  split_classes();
  draw_variants(studio);
  write_lists();
  for (const OpenedFace& face : fonts_.faces) result_.faces.push_back(face.description);
  result_.skipped_fonts = fonts_.skipped;
  report(total_);
  return std::move(result_);
}

/// Draws the ranked characters in chunks until enough of them have enough faces.
void Renderer::draw_all(const Studio& studio) {
  const std::vector<std::size_t> ranked = rank_characters(survey_, studio.training_faces, options_.min_faces);
  const auto pixels = static_cast<std::size_t>(options_.size) * static_cast<std::size_t>(options_.size);
  const std::size_t chunk = std::clamp<std::size_t>(kChunkBytes / (pixels * fonts_.faces.size()), 16, 512);
  const std::size_t expected = std::min(wanted(), ranked.size());
  total_ = options_.jitter.variants > 0 ? 2 * expected : expected;
  report(0);
  result_.dropped.thin_classes = static_cast<std::int64_t>(survey_.characters.size() - ranked.size());
  for (std::size_t begin = 0; begin < ranked.size() && kept_.size() < wanted(); begin += chunk) {
    const std::size_t count = std::min(chunk, ranked.size() - begin);
    std::vector<DrawnCharacter> drawn(count);
    parallel_for(threads_, count, [&](std::size_t i) { drawn[i] = draw_character(studio, ranked[begin + i]); });

    std::vector<std::pair<std::size_t, std::size_t>> accepted;  // index in kept_, index in the chunk
    for (std::size_t i = 0; i < count && kept_.size() < wanted(); ++i) {
      add_dropped(result_.dropped, drawn[i].dropped);
      if (drawn[i].training < options_.min_faces) {
        ++result_.dropped.thin_classes;
        continue;
      }
      accepted.emplace_back(kept_.size(), i);
      KeptCharacter kept{ranked[begin + i], {}};
      for (const Drawing& drawing : drawn[i].drawings) {
        kept.faces.push_back(drawing.face);
        ++fonts_.faces[drawing.face].description.images;
      }
      kept_.push_back(std::move(kept));
    }
    parallel_for(threads_, accepted.size(),
                 [&](std::size_t i) { write_drawings(kept_[accepted[i].first], drawn[accepted[i].second]); });
    report(options_.num_classes > 0 ? kept_.size() : begin + count);
  }
  check_enough(kept_.size());
}

void Renderer::write_drawings(const KeptCharacter& kept, const DrawnCharacter& drawn) const {
  std::error_code failure;
  const fs::path folder = folder_ / "images" / code_point_text(survey_.characters[kept.character]);
  fs::create_directories(folder, failure);
  if (failure) {
    throw Error(ErrorCode::io, fmt::format("Cannot make folder '{}' ({}). Free space or choose another output folder.",
                                           folder.string(), failure.message()));
  }
  for (const Drawing& drawing : drawn.drawings) write_image(kept.character, drawing.face, 0, drawing.pixels);
}

void Renderer::check_enough(std::size_t characters) const {
  const auto needed =
      static_cast<std::size_t>(std::max<std::int64_t>(options_.num_classes, 1) + options_.held_out_classes);
  if (characters >= needed) return;
  throw Error(
      ErrorCode::data,
      fmt::format("Only {} classes can be drawn, {} are needed ({} training faces, at least {} of them per class, {} "
                  "characters looked at). Ask for fewer classes, lower min_faces, or add fonts or characters.",
                  characters, needed,
                  std::count_if(fonts_.faces.begin(), fonts_.faces.end(),
                                [](const OpenedFace& face) { return !face.description.held_out; }),
                  options_.min_faces, survey_.characters.size()));
}

void Renderer::split_classes() {
  std::sort(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) { return a.character < b.character; });
  std::vector<char32_t> code_points;
  for (const KeptCharacter& kept : kept_) code_points.push_back(survey_.characters[kept.character]);
  const auto chosen = choose_held_out(code_points, options_.held_out_classes, options_.seed);
  for (KeptCharacter& kept : kept_) {
    const bool held_out = std::binary_search(chosen.begin(), chosen.end(), survey_.characters[kept.character]);
    (held_out ? held_out_ : training_).push_back(std::move(kept));
  }
  result_.classes = static_cast<std::int64_t>(training_.size());
  result_.held_out_classes = static_cast<std::int64_t>(held_out_.size());
}

void Renderer::draw_variants(const Studio& studio) {
  if (options_.jitter.variants == 0) return;
  const auto body = [&](std::size_t label) {
    const KeptCharacter& kept = training_[label];
    for (const std::size_t face : kept.faces) {
      for (int variant = 1; is_training_face(face) && variant <= options_.jitter.variants; ++variant) {
        write_image(kept.character, face, variant,
                    draw_variant(studio, kept.character, face, variant, options_.jitter, options_.seed));
      }
    }
  };
  parallel_for(threads_, training_.size(), body, [&](std::size_t done) { report(total_ / 2 + done); });
}

void Renderer::write_lists() {
  std::string train;
  std::string test;
  std::string classes = "label\tcode_point\tcharacter\tfaces\n";
  const auto append_class = [&](std::int64_t label, const KeptCharacter& kept) {
    const char32_t c = survey_.characters[kept.character];
    classes += fmt::format("{}\t{}\t{}\t{}\n", label, code_point_text(c), utf8(c), kept.faces.size());
  };
  for (std::size_t label = 0; label < training_.size(); ++label) {
    const KeptCharacter& kept = training_[label];
    append_class(static_cast<std::int64_t>(label), kept);
    for (const std::size_t face : kept.faces) {
      for (int variant = 0; variant <= (is_training_face(face) ? options_.jitter.variants : 0); ++variant) {
        (is_training_face(face) ? train : test) +=
            fmt::format("{}\t{}\n", image_path(kept.character, face, variant), label);
        ++(is_training_face(face) ? result_.train_images : result_.test_images);
      }
    }
  }
  if (!options_.held_out_faces.empty() && result_.test_images == 0) {
    throw Error(ErrorCode::data,
                fmt::format("The held-out faces give no test image (all {} of their drawings are like those "
                            "of training faces). Hold out a face of another design.",
                            result_.dropped.held_out_duplicates));
  }
  std::vector<std::vector<std::string>> images;
  for (const KeptCharacter& kept : held_out_) {
    append_class(-1, kept);
    std::vector<std::string>& paths = images.emplace_back();
    for (const std::size_t face : kept.faces) paths.push_back(image_path(kept.character, face, 0));
  }
  std::string pairs;
  for (const ImagePair& pair : make_pairs(images, options_.pairs, options_.seed)) {
    pairs += fmt::format("{}\t{}\t{}\n", pair.first, pair.second, pair.same ? 1 : 0);
    ++result_.pairs;
  }
  write_file(folder_ / "train.txt", train);
  write_file(folder_ / "classes.tsv", classes);
  if (!test.empty()) write_file(folder_ / "test.txt", test);
  if (!pairs.empty()) write_file(folder_ / "pairs.txt", pairs);
}

}  // namespace

RenderResult render_characters(const RenderOptions& options) {
  check_options(options);
  const std::vector<FontRequest> requests = find_fonts(options.fonts);
  if (auto existing = existing_result(options, requests)) return std::move(*existing);
  OpenedFonts fonts = open_fonts(requests, options);
  StagingFolder staging(options.output);
  RenderResult result = Renderer(options, std::move(fonts), staging.path()).run();
  write_file(staging.path() / "render.json", manifest_text(options, requests, result));
  staging.commit();
  return result;
}

}  // namespace plsc::data
