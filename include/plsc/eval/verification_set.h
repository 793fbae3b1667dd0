#pragma once
// Verification data: InsightFace .bin files (a Python pickle of (encoded images, same flags)) and pair lists.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace plsc::eval {

struct VerificationSet {
  std::string name;                            ///< file name without directory and suffix
  std::vector<std::vector<std::byte>> images;  ///< encoded; 2 per pair
  std::vector<std::uint8_t> same;              ///< one flag per pair
};

/// Reads a .bin as Python 2 or 3 pickled it (protocols 0 to 5; str, bytes, bytearray or numpy uint8 arrays). Executes nothing:
/// unknown opcodes and globals are Error{data} with file and offset, and no declared length is trusted.
VerificationSet read_bin(const std::string& path);
/// Lines "path path 0|1" (tab or space); paths relative to root (empty: the list's folder). Errors name file and line.
VerificationSet read_pair_list(const std::string& path, const std::string& root);

}  // namespace plsc::eval
