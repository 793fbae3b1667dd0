#include "eval/pickle_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <utility>

#include "plsc/core/error.h"

namespace plsc::eval {

namespace {

// Names as Python's pickletools gives them.
constexpr std::pair<std::uint8_t, const char*> kOpcodeNames[] = {
    {'(', "MARK"},
    {'.', "STOP"},
    {'0', "POP"},
    {'1', "POP_MARK"},
    {'2', "DUP"},
    {'F', "FLOAT"},
    {'I', "INT"},
    {'J', "BININT"},
    {'K', "BININT1"},
    {'L', "LONG"},
    {'M', "BININT2"},
    {'N', "NONE"},
    {'P', "PERSID"},
    {'Q', "BINPERSID"},
    {'R', "REDUCE"},
    {'S', "STRING"},
    {'T', "BINSTRING"},
    {'U', "SHORT_BINSTRING"},
    {'V', "UNICODE"},
    {'X', "BINUNICODE"},
    {'a', "APPEND"},
    {'b', "BUILD"},
    {'c', "GLOBAL"},
    {'d', "DICT"},
    {'}', "EMPTY_DICT"},
    {'e', "APPENDS"},
    {'g', "GET"},
    {'h', "BINGET"},
    {'i', "INST"},
    {'j', "LONG_BINGET"},
    {'l', "LIST"},
    {']', "EMPTY_LIST"},
    {'o', "OBJ"},
    {'p', "PUT"},
    {'q', "BINPUT"},
    {'r', "LONG_BINPUT"},
    {'s', "SETITEM"},
    {'t', "TUPLE"},
    {')', "EMPTY_TUPLE"},
    {'u', "SETITEMS"},
    {'G', "BINFLOAT"},
    {'B', "BINBYTES"},
    {'C', "SHORT_BINBYTES"},
    {0x80, "PROTO"},
    {0x81, "NEWOBJ"},
    {0x82, "EXT1"},
    {0x83, "EXT2"},
    {0x84, "EXT4"},
    {0x85, "TUPLE1"},
    {0x86, "TUPLE2"},
    {0x87, "TUPLE3"},
    {0x88, "NEWTRUE"},
    {0x89, "NEWFALSE"},
    {0x8a, "LONG1"},
    {0x8b, "LONG4"},
    {0x8c, "SHORT_BINUNICODE"},
    {0x8d, "BINUNICODE8"},
    {0x8e, "BINBYTES8"},
    {0x8f, "EMPTY_SET"},
    {0x90, "ADDITEMS"},
    {0x91, "FROZENSET"},
    {0x92, "NEWOBJ_EX"},
    {0x93, "STACK_GLOBAL"},
    {0x94, "MEMOIZE"},
    {0x95, "FRAME"},
    {0x96, "BYTEARRAY8"},
    {0x97, "NEXT_BUFFER"},
    {0x98, "READONLY_BUFFER"},
};

constexpr const char* kExpected =
    "Expected is a pickle of (encoded images, same flags) as InsightFace's .bin files are";

/// Text of a foreign file in a message: short and printable.
std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string out(text.substr(0, kLongest));
  for (char& letter : out) {
    if (std::isprint(static_cast<unsigned char>(letter)) == 0) letter = '?';
  }
  return out;
}

}  // namespace

std::string name_of_opcode(std::uint8_t opcode) {
  const auto* found = std::find_if(std::begin(kOpcodeNames), std::end(kOpcodeNames),
                                   [&](const auto& entry) { return entry.first == opcode; });
  return found != std::end(kOpcodeNames) ? found->second : fmt::format("0x{:02x}", opcode);
}

std::uint8_t PickleReader::next_opcode() {
  if (offset_ == bytes_.size()) {
    throw Error(ErrorCode::data, fmt::format("{} is truncated (the pickle has no STOP before its end at byte {}). "
                                             "Copy or download the file again.",
                                             file_, offset_));
  }
  opcode_offset_ = offset_;
  opcode_ = std::to_integer<std::uint8_t>(bytes_[offset_++]);
  return opcode_;
}

std::span<const std::byte> PickleReader::take(std::uint64_t count) {
  const std::size_t remaining = bytes_.size() - offset_;
  if (count > remaining) {
    throw Error(ErrorCode::data, fmt::format("{} is truncated ({} needs {} bytes, {} remain). "
                                             "Copy or download the file again.",
                                             file_, place(), count, remaining));
  }
  const auto part = bytes_.subspan(offset_, static_cast<std::size_t>(count));
  offset_ += part.size();
  return part;
}

std::string_view PickleReader::line() {
  const std::string_view rest = as_text(bytes_.subspan(offset_));
  const std::size_t length = rest.find('\n');
  if (length == std::string_view::npos) {
    throw Error(ErrorCode::data, fmt::format("{} is truncated ({} has no end of line in the {} bytes that remain). "
                                             "Copy or download the file again.",
                                             file_, place(), rest.size()));
  }
  offset_ += length + 1;
  return rest.substr(0, length);
}

std::uint64_t PickleReader::number(int width) {
  const auto part = take(static_cast<std::uint64_t>(width));
  std::uint64_t value = 0;
  for (std::size_t i = part.size(); i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(part[i]);
  return value;
}

std::string PickleReader::place() const {
  return fmt::format("opcode {} at byte {}", name_of_opcode(opcode_), opcode_offset_);
}

void PickleReader::fail_opcode() const {
  throw Error(ErrorCode::data, fmt::format("{} cannot be read ({} has no place in a verification file). {}.", file_,
                                           place(), kExpected));
}

void PickleReader::fail_damaged(const std::string& why) const {
  throw Error(ErrorCode::data,
              fmt::format("{} is damaged ({}: {}). Copy or make the file again.", file_, place(), why));
}

void PickleReader::fail_global(std::string_view global) const {
  throw Error(ErrorCode::data,
              fmt::format("{} cannot be read ({} names \"{}\", and nothing in a file is executed; only bytes and numpy "
                          "arrays are understood). {}.",
                          file_, place(), printable(global), kExpected));
}

void PickleReader::fail_unsupported(const std::string& what) const {
  throw Error(ErrorCode::data,
              fmt::format("{} cannot be read ({}: {}). {}.", file_, place(), printable(what), kExpected));
}

}  // namespace plsc::eval
