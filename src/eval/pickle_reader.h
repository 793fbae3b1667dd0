#pragma once
// Bounds-checked walk over the bytes of a pickle. No length that the file declares is trusted: every read is checked
// against what remains, and every failure names file, opcode and byte.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace plsc::eval {

/// "BINBYTES", or "0xfe" for a byte that is no opcode of protocols 0 to 5.
std::string name_of_opcode(std::uint8_t opcode);

class PickleReader {
 public:
  /// `bytes` and `file` (its path, for messages) must outlive the reader.
  PickleReader(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  /// The next opcode; later messages name it and its offset.
  std::uint8_t next_opcode();

  std::span<const std::byte> take(std::uint64_t count);
  std::string_view line();  ///< up to the next newline, which is skipped

  /// Little-endian unsigned integer of `width` (1 to 8) bytes.
  std::uint64_t number(int width);

  std::size_t size() const { return bytes_.size(); }
  const std::string& file() const { return file_; }

  /// Error{data}: the opcode is known or unknown, but no part of a list of images and flags.
  [[noreturn]] void fail_opcode() const;
  /// Error{data}: `why` says what is wrong with the present opcode's arguments.
  [[noreturn]] void fail_damaged(const std::string& why) const;
  /// Error{data}: a callable that is not on the list; nothing of it was executed.
  [[noreturn]] void fail_global(std::string_view global) const;
  /// Error{data}: well-formed, but a kind of object that this reader does not take.
  [[noreturn]] void fail_unsupported(const std::string& what) const;

 private:
  std::string place() const;  ///< "opcode BINBYTES at byte 17"

  std::span<const std::byte> bytes_;
  const std::string& file_;
  std::size_t offset_ = 0;
  std::size_t opcode_offset_ = 0;
  std::uint8_t opcode_ = 0;
};

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace plsc::eval
