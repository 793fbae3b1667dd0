#pragma once
// The bytes of one font file, in memory that is safe to hand to a parser that checks no bounds: the file is followed by
// more than 4 GiB of read-only zero pages (address space only), so every 32-bit offset lands in readable memory.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace plsc::data {

class FontFile {
 public:
  /// Reads the file and checks that it is a font or a font collection. Throws Error{io|data} that names the file.
  explicit FontFile(const std::string& path);
  ~FontFile();
  FontFile(const FontFile&) = delete;
  FontFile& operator=(const FontFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }
  int num_faces() const { return num_faces_; }
  std::uint32_t face_offset(int face) const;  ///< of the face's table directory

 private:
  void read();

  std::string path_;
  std::uint8_t* data_ = nullptr;  ///< owned mapping of reserved_ bytes
  std::size_t size_ = 0;
  std::size_t reserved_ = 0;
  int num_faces_ = 1;
};

}  // namespace plsc::data
