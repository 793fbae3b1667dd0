#include "data/render_fonts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <glob.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <set>
#include <utility>

#include "plsc/core/error.h"

namespace plsc::data {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// "a.ttc#2" -> ("a.ttc", 2); without "#number": (text, -1).
std::pair<std::string, int> split_face(const std::string& text) {
  const std::size_t hash = text.rfind('#');
  if (hash == std::string::npos || hash + 1 == text.size()) return {text, -1};
  int index = 0;
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data() + hash + 1, end, index);
  if (failure != std::errc{} || stop != end || index < 0) return {text, -1};
  return {text.substr(0, hash), index};
}

bool is_font_name(const fs::path& path) {
  const std::string extension = lower(path.extension().string());
  return extension == ".ttf" || extension == ".otf" || extension == ".ttc" || extension == ".otc";
}

std::vector<std::string> fonts_below(const std::string& folder) {
  std::vector<std::string> paths;
  try {
    const auto follow = fs::directory_options::follow_directory_symlink | fs::directory_options::skip_permission_denied;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, follow)) {
      if (is_font_name(entry.path()) && entry.is_regular_file()) paths.push_back(entry.path().string());
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCode::io, fmt::format("Cannot list font folder '{}' ({}). Check its permissions.", folder,
                                           error.code().message()));
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<std::string> fonts_like(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  std::erase_if(paths, [](const std::string& path) { return !is_font_name(path); });
  return paths;
}

/// Adds what one word of the options names.
void append_requests(const std::string& word, std::vector<FontRequest>& requests) {
  const auto [path, face] = split_face(word);
  std::error_code missing;
  const fs::file_status status = fs::status(path, missing);
  if (fs::exists(status) && !fs::is_directory(status)) {
    requests.push_back({path, face, true, fs::file_size(path, missing)});
    return;
  }
  const bool is_folder = fs::is_directory(status);
  const bool is_pattern = !is_folder && path.find_first_of("*?[") != std::string::npos;
  if (!is_folder && !is_pattern) {
    throw Error(ErrorCode::io,
                fmt::format("Font file '{}' does not exist. Check the path; Debian's CJK fonts are installed "
                            "by packages such as fonts-noto-cjk and fonts-wqy-zenhei.",
                            path));
  }
  const std::vector<std::string> paths = is_folder ? fonts_below(path) : fonts_like(path);
  if (paths.empty()) {
    throw Error(ErrorCode::io,
                fmt::format("No font file was found for '{}' (.ttf, .otf, .ttc or .otc). Check the path or "
                            "install fonts.",
                            word));
  }
  for (const std::string& found : paths) requests.push_back({found, face, false, fs::file_size(found, missing)});
}

std::vector<std::string> describe(const std::vector<OpenedFace>& faces) {
  std::vector<std::string> lines;
  for (const OpenedFace& face : faces) {
    lines.push_back(fmt::format("{}#{} ({})", fs::path(face.description.file).filename().string(),
                                face.description.index, face.description.family));
  }
  return lines;
}

bool selects(const std::string& selector, const OpenedFace& face) {
  return selects_face(selector, face.description.file, face.description.index, face.description.family);
}

void check_selectors(const std::vector<std::string>& selectors, const std::vector<OpenedFace>& faces,
                     const std::string& purpose) {
  for (const std::string& selector : selectors) {
    const bool used =
        std::any_of(faces.begin(), faces.end(), [&](const OpenedFace& face) { return selects(selector, face); });
    if (used) continue;
    throw Error(ErrorCode::usage,
                fmt::format("'{}' is none of the fonts ({}). Name a file, a face such as file.ttc#0 or a "
                            "part of a family name; there are: {}.",
                            selector, purpose, fmt::join(describe(faces), ", ")));
  }
}

bool any_selects(const std::vector<std::string>& selectors, const OpenedFace& face) {
  return std::any_of(selectors.begin(), selectors.end(), [&](const std::string& s) { return selects(s, face); });
}

using FaceKeys = std::set<std::pair<std::string, int>>;

/// Appends the wanted faces of one file that are not in `known` yet.
void open_file(const FontRequest& request, FaceKeys& known, std::vector<OpenedFace>& faces) {
  const auto file = std::make_shared<const FontFile>(request.path);
  const std::string stem = fs::path(request.path).stem().string();
  const int first = std::max(request.face, 0);
  const int last = request.face < 0 ? file->num_faces() - 1 : request.face;
  for (int index = first; index <= last; ++index) {
    FontFace font(file, index);
    if (!known.insert({fs::canonical(request.path).string(), index}).second) continue;
    RenderedFace description{fmt::format("{}-{}", stem, index), request.path, index, font.family(), false, 0};
    if (description.family.empty()) description.family = stem;
    faces.push_back({std::move(font), std::move(description), request.named});
  }
}

/// Faces of equal file names in different folders get "~2", "~3".
void make_names_unique(std::vector<OpenedFace>& faces) {
  std::set<std::string> names;
  for (OpenedFace& face : faces) {
    const std::string base = face.description.name;
    for (int copy = 2; !names.insert(face.description.name).second; ++copy) {
      face.description.name = fmt::format("{}~{}", base, copy);
    }
  }
}

}  // namespace

std::vector<FontRequest> find_fonts(const std::vector<std::string>& fonts) {
  if (fonts.empty()) {
    throw Error(ErrorCode::usage,
                "No fonts are given (nothing to draw with). Name font files or folders, such as "
                "/usr/share/fonts.");
  }
  std::vector<FontRequest> requests;
  for (const std::string& word : fonts) append_requests(word, requests);
  return requests;
}

bool selects_face(const std::string& selector, const std::string& path, int index, const std::string& family) {
  if (selector.empty()) return false;
  const auto [file, face] = split_face(selector);
  const bool same_file = file == path || file == fs::path(path).filename().string();
  if (same_file) return face < 0 || face == index;
  return lower(family).find(lower(selector)) != std::string::npos;
}

OpenedFonts open_fonts(const std::vector<FontRequest>& requests, const RenderOptions& options) {
  OpenedFonts opened;
  std::vector<OpenedFace> all;
  FaceKeys known;
  for (const FontRequest& request : requests) {
    if (request.named) {
      open_file(request, known, all);
      continue;
    }
    try {
      open_file(request, known, all);
    } catch (const Error& error) {
      opened.skipped.push_back(fmt::format("{} ({})", request.path, error.message()));
    }
  }
  check_selectors(options.exclude, all, "to leave out");
  std::erase_if(all, [&](const OpenedFace& face) { return any_selects(options.exclude, face); });
  check_selectors(options.held_out_faces, all, "to hold out");
  make_names_unique(all);
  for (OpenedFace& face : all) face.description.held_out = any_selects(options.held_out_faces, face);
  std::stable_partition(all.begin(), all.end(), [](const OpenedFace& face) { return !face.description.held_out; });
  if (all.empty() || all.front().description.held_out) {
    throw Error(ErrorCode::usage,
                fmt::format("No font face is left to train on ({} of {} are held out, {} files could not "
                            "be used). Add fonts or hold out fewer.",
                            all.size(), all.size(), opened.skipped.size()));
  }
  opened.faces = std::move(all);
  return opened;
}

}  // namespace plsc::data
