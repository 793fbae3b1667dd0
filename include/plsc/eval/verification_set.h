#pragma once
// Verification data: InsightFace .bin files (a Python pickle of (encoded images, same flags)) and pair lists.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace plsc::eval {

struct VerificationSet {
  std::string name;                            ///< file name without directory and suffix
  std::string path;                            ///< the file it was read from
  std::vector<std::vector<std::byte>> images;  ///< encoded; 2 per pair, pair i = images 2i and 2i + 1
  std::vector<std::uint8_t> same;              ///< one flag (0 or 1) per pair
  std::vector<std::string> origins;            ///< pair lists: "pairs.txt, line 3: a.jpg" per image; empty for a .bin

  /// For messages: the origin, or "lfw.bin, image 5 (pair 3, second)".
  std::string describe(std::size_t image) const;
};

/// Reads a .bin as Python 2 or 3 pickled it (protocols 0 to 5; str, bytes, bytearray or numpy uint8 arrays; flags as
/// booleans, integers 0 and 1, or a numpy array of either). Executes nothing: other opcodes and globals are Error{data}
/// with file and offset, and no declared length is trusted. Both same and different pairs must occur.
VerificationSet read_bin(const std::string& path);
/// The same for the contents of a file; `path` gives the set its name and stands in messages.
VerificationSet parse_bin(std::span<const std::byte> bytes, const std::string& path);

/// Lines "path path 0|1", fields separated by tabs, or by spaces where the line has no tab; empty lines are skipped.
/// Relative paths start at `root` (empty: the list's folder). Errors name file and line.
VerificationSet read_pair_list(const std::string& path, const std::string& root);

}  // namespace plsc::eval
