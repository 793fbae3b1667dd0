#include "data/folder_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include "data/source_checks.h"
#include "plsc/core/error.h"

namespace plsc::data {

namespace fs = std::filesystem;

namespace {

bool has_image_extension(const fs::path& path) {
  constexpr std::array<std::string_view, 6> kExtensions = {".jpg", ".jpeg", ".png", ".bmp", ".pgm", ".ppm"};
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

enum class Kind { folders, images };

/// Names of one kind in `folder`, sorted by bytes. Types come with the directory entries: no file is looked at.
std::vector<std::string> names_in(const fs::path& folder, Kind kind) {
  std::vector<std::string> names;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      const fs::path name = entry.path().filename();
      if (name.native().front() == '.') continue;
      const bool wanted = kind == Kind::folders ? entry.is_directory() : has_image_extension(name);
      if (wanted) names.push_back(name.string());
    }
  } catch (const fs::filesystem_error& failure) {
    throw Error(ErrorCode::io, fmt::format("Cannot list the folder {} ({}). Check the path and the permissions.",
                                           folder.string(), failure.code().message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

void check_class_count(const FolderOptions& options, std::size_t classes) {
  if (classes == 0) {
    throw Error(ErrorCode::data, fmt::format("The folder {} has no class folders. Put the images of each class into a "
                                             "sub-folder of its own, or name a list file by data.list.",
                                             options.folder));
  }
  if (options.num_classes > 0 && static_cast<std::int64_t>(classes) > options.num_classes) {
    throw Error(ErrorCode::data, fmt::format("The folder {} has {} class folders, more than the {} classes of "
                                             "data.num_classes. Correct data.num_classes or set it to 0.",
                                             options.folder, classes, options.num_classes));
  }
}

}  // namespace

FolderSource::FolderSource(const FolderOptions& options) : folder_(options.folder), files_(options.folder) {
  const std::vector<std::string> classes = names_in(folder_, Kind::folders);
  check_class_count(options, classes.size());
  SkipReport skipped;
  for (std::size_t id = 0; id < classes.size(); ++id) {
    const std::vector<std::string> images = names_in(fs::path(folder_) / classes[id], Kind::images);
    for (const std::string& image : images) {
      samples_.add(fmt::format("{}/{}", classes[id], image), static_cast<std::int64_t>(id));
    }
    if (!images.empty()) continue;
    const std::string where = fmt::format("{}/{}", folder_, classes[id]);
    if (options.on_error == config::OnError::fail) {
      throw Error(ErrorCode::data, fmt::format("The class folder {} has no images (jpg, jpeg, png, bmp, pgm or ppm). "
                                               "Remove it, or set data.on_error=skip to keep its class id without "
                                               "images.",
                                               where));
    }
    skipped.add(fmt::format("{} (class {}): no images", where, id));
  }
  skipped.warn("class folders", folder_);
  if (samples_.size() == 0) {
    throw Error(
        ErrorCode::data,
        fmt::format("The folder {} has no samples (none of its {} class folders holds an image). Put jpg, jpeg, "
                    "png, bmp, pgm or ppm files into them.",
                    folder_, classes.size()));
  }
  num_classes_ = options.num_classes > 0 ? options.num_classes : static_cast<std::int64_t>(classes.size());
  check_class_ids(samples_, num_classes_, true, folder_);
}

std::string FolderSource::describe(std::uint64_t index) const {
  return fmt::format("{}/{} (class {})", folder_, samples_.path(index), samples_.label(index));
}

}  // namespace plsc::data
