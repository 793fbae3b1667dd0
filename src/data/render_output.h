#pragma once
// The output folder: written beside its place, then renamed.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/render_fonts.h"
#include "plsc/data/render.h"

namespace plsc::data {

/// Throws Error{io} that names the path and the cause (such as a full disk).
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// Encoded gray image.
std::string encode_image(std::span<const std::uint8_t> pixels, int size, RenderFormat format, int jpeg_quality);

const char* image_suffix(RenderFormat format);  ///< ".png"

/// "<output>.tmp", locked against a second writer; removed with all its contents unless commit() was reached.
class StagingFolder {
 public:
  /// A folder that an interrupted run left is emptied first; one that is not ours is an error.
  explicit StagingFolder(const std::filesystem::path& output);
  ~StagingFolder();
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void commit();  ///< renames it to the output folder

 private:
  void lock();

  std::filesystem::path output_;
  std::filesystem::path path_;
  int lock_ = -1;
  bool owned_ = false;
};

/// Contents of render.json.
std::string manifest_text(const RenderOptions& options, const std::vector<FontRequest>& fonts,
                          const RenderResult& result);

/// The result recorded in an output folder that holds the set of these options; nothing when there is no such folder or
/// it is empty. Throws Error{usage} when it holds anything else.
std::optional<RenderResult> existing_result(const RenderOptions& options, const std::vector<FontRequest>& fonts);

}  // namespace plsc::data
