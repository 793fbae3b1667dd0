#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "app/commands.h"
#include "plsc/core/progress.h"
#include "plsc/data/render.h"

namespace plsc::app {

namespace {

void print_result(const data::RenderOptions& options, const data::RenderResult& result) {
  for (const std::string& font : result.skipped_fonts) fmt::print(stderr, "skipped font: {}\n", font);
  if (result.reused) fmt::print("{} already holds this set; nothing was rendered\n", options.output);
  fmt::print("{} classes, {} training images, {} test images of held-out faces\n", result.classes, result.train_images,
             result.test_images);
  if (result.pairs > 0) fmt::print("{} pairs of {} further classes\n", result.pairs, result.held_out_classes);
  const data::RenderDropped& dropped = result.dropped;
  fmt::print(
      "dropped: {} empty, {} placeholder and {} shared glyphs, {} duplicates in training, {} in the test, {} classes "
      "with too few faces\n",
      dropped.empty, dropped.placeholders, dropped.shared, dropped.duplicates, dropped.held_out_duplicates,
      dropped.thin_classes);
  fmt::print("lists: {0}/train.txt, {0}/test.txt, {0}/pairs.txt\n", options.output);
}

}  // namespace

Command add_data_render(CLI::App& app) {
  const auto options = std::make_shared<data::RenderOptions>();
  options->characters.clear();
  app.add_option("--fonts", options->fonts, "Font files, one face of a collection as FILE.ttc#2, folders, patterns")
      ->required();
  app.add_option("--output", options->output, "Folder to make")->required();
  app.add_option("--exclude", options->exclude, "Faces to leave out: FILE, FILE.ttc#2 or part of a family name");
  app.add_option("--characters", options->characters,
                 "han, han-ext, hangul, kana, latin, greek, cyrillic, or ranges such as 4E00-9FFF (default: han)");
  app.add_option("--classes", options->num_classes, "Training classes: the best covered code points; 0: all")
      ->capture_default_str();
  app.add_option("--min-faces", options->min_faces, "Training faces that must draw a class")->capture_default_str();
  app.add_option("--held-out-faces", options->held_out_faces, "Faces for the test list, never in training");
  app.add_option("--held-out-classes", options->held_out_classes, "Further classes, for verification pairs only")
      ->capture_default_str();
  app.add_option("--pairs", options->pairs, "Verification pairs (a multiple of 20)")->capture_default_str();
  app.add_option("--size", options->size, "Pixels")->capture_default_str();
  app.add_option("--margin", options->margin, "Free border, of the image size")->capture_default_str();
  app.add_option("--duplicate-tolerance", options->duplicate_tolerance,
                 "Drawings of one character that differ by less ink than this are one")
      ->capture_default_str();
  app.add_option("--variants", options->jitter.variants, "Jittered copies of each training drawing")
      ->capture_default_str();
  app.add_option("--rotation", options->jitter.rotation, "Jitter: degrees")->capture_default_str();
  app.add_option("--scale", options->jitter.scale, "Jitter: relative size")->capture_default_str();
  app.add_option("--shift", options->jitter.shift, "Jitter: of the image size")->capture_default_str();
  app.add_option("--format", options->format, "png or jpeg")
      ->transform(CLI::CheckedTransformer(std::map<std::string, data::RenderFormat>{
          {"png", data::RenderFormat::png}, {"jpeg", data::RenderFormat::jpeg}}));
  app.add_option("--jpeg-quality", options->jpeg_quality, "1 to 100")->capture_default_str();
  app.add_option("--seed", options->seed, "Seed of pairs and jitter")->capture_default_str();
  app.add_option("--threads", options->threads, "Threads; 0: all cores")->capture_default_str();
  return [options](const CommandLine&) {
    if (options->characters.empty()) options->characters = {"han"};
    std::optional<Progress> progress;
    options->progress = [&progress](std::uint64_t done, std::uint64_t total) {
      if (!progress) progress.emplace(static_cast<std::int64_t>(total), "classes");
      progress->update(static_cast<std::int64_t>(done));
    };
    const data::RenderResult result = data::render_characters(*options);
    if (progress) progress->finish();
    print_result(*options, result);
    return 0;
  };
}

}  // namespace plsc::app
