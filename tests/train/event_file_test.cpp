#include "plsc/train/event_file.h"

#include <sys/resource.h>

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <vector>

#include "plsc/core/error.h"
#include "support/temp_dir.h"

namespace plsc::train {

using Catch::Matchers::Contains;

namespace {

std::uint32_t reference_crc(const std::string& bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? (crc >> 1) ^ 0x82f63b78U : crc >> 1;
  }
  return ~crc;
}

std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8U; }

std::uint64_t little_endian(const std::string& bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) value = value << 8 | static_cast<std::uint8_t>(bytes[i - 1]);
  return value;
}

/// Payloads of all TFRecords; checks both checksums of each.
std::vector<std::string> records_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> records;
  std::size_t at = 0;
  while (at < bytes.size()) {
    REQUIRE(at + 12 <= bytes.size());
    const std::uint64_t length = little_endian(bytes.substr(at, 8));
    REQUIRE(at + 16 + length <= bytes.size());
    records.push_back(bytes.substr(at + 12, length));
    REQUIRE(little_endian(bytes.substr(at + 8, 4)) == masked(reference_crc(bytes.substr(at, 8))));
    REQUIRE(little_endian(bytes.substr(at + 12 + length, 4)) == masked(reference_crc(records.back())));
    at += 16 + length;
  }
  return records;
}

std::uint64_t read_varint(const std::string& bytes, std::size_t& at) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(bytes.at(at++));
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

/// Fields of a protobuf message: number -> raw bytes (little-endian for numbers).
std::map<std::uint64_t, std::string> fields_of(const std::string& message) {
  std::map<std::uint64_t, std::string> fields;
  for (std::size_t at = 0; at < message.size();) {
    const std::uint64_t key = read_varint(message, at);
    std::size_t size = 0;
    switch (key & 7) {
      case 0: {
        std::string& bytes = fields[key >> 3];
        for (std::uint64_t value = read_varint(message, at); value > 0; value >>= 8) bytes += static_cast<char>(value);
        continue;
      }
      case 1: size = 8; break;
      case 2: size = read_varint(message, at); break;
      case 5: size = 4; break;
      default: FAIL("unknown wire type");
    }
    REQUIRE(at + size <= message.size());
    fields[key >> 3] = message.substr(at, size);
    at += size;
  }
  return fields;
}

float float_of(const std::string& bytes) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(little_endian(bytes)));
}

}  // namespace

TEST_CASE("the reference checksum of these tests is CRC-32C", "[event_file]") {
  CHECK(reference_crc("123456789") == 0xe3069283U);
}

TEST_CASE("an event file holds version, scalars and texts", "[event_file]") {
  const test::TempDir dir;
  EventFile file((dir / "deep/log").string());

  file.add_scalar("train/loss", 300, 4.25);
  file.add_scalar("train/lr", 1LL << 40, std::nan(""));
  file.add_text("config", std::string(200, 'x'));
  file.flush();

  const std::vector<std::string> records = records_of(file.path());
  REQUIRE(records.size() == 4);
  auto version = fields_of(records[0]);
  CHECK(version[3] == "brain.Event:2");
  CHECK(std::bit_cast<double>(little_endian(version[1])) > 1.5e9);
  auto event = fields_of(records[1]);
  auto value = fields_of(fields_of(event[5])[1]);
  CHECK(little_endian(event[2]) == 300);
  CHECK(value[1] == "train/loss");
  CHECK(float_of(value[2]) == 4.25F);
  event = fields_of(records[2]);
  CHECK(little_endian(event[2]) == 1ULL << 40);
  CHECK(std::isnan(float_of(fields_of(fields_of(event[5])[1])[2])));
  value = fields_of(fields_of(fields_of(records[3])[5])[1]);
  CHECK(value[1] == "config");
  CHECK(fields_of(value[8])[8] == std::string(200, 'x'));
  CHECK(fields_of(fields_of(value[9])[1])[1] == "text");
}

TEST_CASE("event files of one directory have different names", "[event_file]") {
  const test::TempDir dir;

  const EventFile first(dir.path().string());
  const EventFile second(dir.path().string(), 7);

  CHECK(first.path() != second.path());
  CHECK_THAT(std::filesystem::path(second.path()).filename().string(), Catch::StartsWith("events.out.tfevents."));
  CHECK(records_of(first.path()).size() == 1);
  const std::vector<std::string> records = records_of(second.path());
  REQUIRE(records.size() == 2);
  auto start = fields_of(records[1]);
  CHECK(little_endian(start[2]) == 7);
  CHECK(little_endian(fields_of(start[7])[1]) == 1);
}

TEST_CASE("an event file that cannot be made is an error", "[event_file][error]") {
  const test::TempDir dir;
  std::ofstream(dir / "file") << "x";

  try {
    const EventFile file((dir / "file/log").string());
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
    CHECK_THAT(error.what(), Contains("TensorBoard log") && Contains("file/log cannot be created"));
  }
}

TEST_CASE("an event file that cannot be written in full is an error", "[event_file][error]") {
  const test::TempDir dir;
  EventFile file(dir.path().string());
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);

  std::string message;
  try {
    file.add_text("config", std::string(1000, 'x'));
    file.flush();
  } catch (const Error& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);

  CHECK_THAT(message, Contains("events.out.tfevents") && Contains("cannot be written") && Contains("File too large"));
}

// Run by check_events.py only.
TEST_CASE("writes an event file for tensorboard", "[.]") {
  const char* directory = std::getenv("PLSC_EVENT_DIR");
  REQUIRE(directory != nullptr);

  EventFile first(directory);
  first.add_text("config", "optim:\n  lr: 0.1  # \xc3\xbc\n" + std::string(1000, 'x'));
  first.add_scalar("train/lr", 10, 0.125);
  first.add_scalar("train/loss", 10, 4.0);
  first.add_scalar("train/loss", 20, 3.5);
  first.add_scalar("train/loss", 30, 3.0);
  first.add_scalar("train/loss", 40, 2.75);
  first.flush();
  EventFile second(directory, 30);
  second.add_scalar("train/loss", 30, 2.5);
  second.add_scalar("train/loss", 1LL << 40, 2.0);
  second.flush();

  CHECK(first.path() < second.path());
}

}  // namespace plsc::train
