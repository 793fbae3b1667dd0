#include "plsc/train/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "plsc/core/error.h"

namespace plsc::train {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& path, const char* action, const std::string& reason) {
  throw Error(ErrorCode::io, fmt::format("TensorBoard log {} cannot be {} ({}). Check the folder, its permissions and "
                                         "free space.",
                                         path, action, reason));
}

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78U : 0U);  // Castagnoli
    table[i] = value;
  }
  return table;
}

/// CRC-32C, masked as the TFRecord format wants it (rotated and shifted by a constant).
std::uint32_t masked_crc(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = make_crc_table();
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) crc = kTable[(crc ^ static_cast<std::uint8_t>(byte)) & 0xffU] ^ (crc >> 8);
  crc = ~crc;
  return std::rotr(crc, 15) + 0xa282ead8U;
}

template <class Unsigned>
void append_little_endian(std::string& out, Unsigned value) {
  for (std::size_t i = 0; i < sizeof(value); ++i) out += static_cast<char>((value >> (8 * i)) & 0xffU);
}

/// A protobuf message; field numbers are those of TensorFlow's event.proto, summary.proto and tensor.proto.
class Message {
 public:
  Message& varint(int field, std::uint64_t value) {
    append_key(field, 0);
    append_varint(value);
    return *this;
  }
  Message& fixed64(int field, double value) {
    append_key(field, 1);
    append_little_endian(bytes_, std::bit_cast<std::uint64_t>(value));
    return *this;
  }
  Message& fixed32(int field, float value) {
    append_key(field, 5);
    append_little_endian(bytes_, std::bit_cast<std::uint32_t>(value));
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    append_key(field, 2);
    append_varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return bytes(field, value.bytes_); }
  const std::string& data() const { return bytes_; }

 private:
  void append_key(int field, int wire_type) { append_varint(static_cast<std::uint64_t>(field << 3 | wire_type)); }
  void append_varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Event{wall_time = 1, step = 2, ...}
Message event(std::int64_t step) {
  return Message().fixed64(1, wall_time()).varint(2, static_cast<std::uint64_t>(step));
}

/// Event.summary = 5, holding one Summary.Value = 1
Message summary_event(std::int64_t step, const Message& value) {
  return event(step).message(5, Message().message(1, value));
}

std::string new_path(const std::string& directory) {
  char host[256] = "localhost";
  gethostname(host, sizeof(host) - 1);
  const auto prefix =
      fmt::format("events.out.tfevents.{:010}.{}.{}", static_cast<std::int64_t>(wall_time()), host, getpid());
  for (int serial = 0;; ++serial) {
    const std::string path = (fs::path(directory) / fmt::format("{}.{}", prefix, serial)).string();
    if (!fs::exists(path)) return path;
  }
}

}  // namespace

EventFile::EventFile(const std::string& directory, std::int64_t first_step) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) fail(directory, "created", error.message());
  path_ = new_path(directory);
  file_.reset(std::fopen(path_.c_str(), "wb"));
  if (!file_) fail(path_, "created", std::strerror(errno));
  write_record(event(0).bytes(3, "brain.Event:2").data());  // file_version = 3
  if (first_step > 0) {
    constexpr int kStart = 1;
    write_record(event(first_step).message(7, Message().varint(1, kStart)).data());  // session_log = 7, status = 1
  }
  flush();
}

EventFile::~EventFile() = default;

void EventFile::add_scalar(const std::string& tag, std::int64_t step, double value) {
  // Value{tag = 1, simple_value = 2}
  const Message scalar = Message().bytes(1, tag).fixed32(2, static_cast<float>(value));
  write_record(summary_event(step, scalar).data());
}

void EventFile::add_text(const std::string& tag, const std::string& text) {
  constexpr int kString = 7;
  constexpr int kTensorData = 2;
  // SummaryMetadata{plugin_data = 1 {plugin_name = 1}, data_class = 4}
  const Message metadata = Message().message(1, Message().bytes(1, "text")).varint(4, kTensorData);
  // TensorProto{dtype = 1, tensor_shape = 2 {} (a scalar), string_val = 8}
  const Message tensor = Message().varint(1, kString).message(2, Message()).bytes(8, text);
  // Value{tag = 1, tensor = 8, metadata = 9}
  write_record(summary_event(0, Message().bytes(1, tag).message(8, tensor).message(9, metadata)).data());
}

void EventFile::write_record(const std::string& event) {
  std::string record;
  append_little_endian(record, static_cast<std::uint64_t>(event.size()));
  append_little_endian(record, masked_crc(record));
  record += event;
  append_little_endian(record, masked_crc(event));
  errno = 0;
  if (std::fwrite(record.data(), 1, record.size(), file_.get()) != record.size()) {
    fail(path_, "written", std::strerror(errno));
  }
}

void EventFile::flush() {
  errno = 0;
  if (std::fflush(file_.get()) != 0 || std::ferror(file_.get()) != 0) fail(path_, "written", std::strerror(errno));
}

}  // namespace plsc::train
