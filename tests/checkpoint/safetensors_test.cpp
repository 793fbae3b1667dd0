#include "plsc/checkpoint/safetensors.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "checkpoint/memory_storage.h"
#include "checkpoint/snapshots.h"

namespace plsc::checkpoint {

namespace {

using Catch::Matchers::Contains;

std::string with_length(const std::string& header, std::uint64_t length) {
  std::string text(8, '\0');
  std::memcpy(text.data(), &length, 8);
  return text + header;
}

std::vector<TensorInfo> read_bytes(const std::string& bytes) {
  MemoryStorage storage;
  storage.make_directories("/d");
  storage::write_text(storage, "/d/x.safetensors", bytes);
  return read_safetensors_header(*storage.open_read("/d/x.safetensors"), "x.safetensors");
}

/// Reads a file of this header and `data_bytes` bytes of data.
std::vector<TensorInfo> read_file(const std::string& header, std::size_t data_bytes) {
  return read_bytes(with_length(header, header.size()) + std::string(data_bytes, 'd'));
}

std::string reading_fails(const std::string& header, std::size_t data_bytes) {
  return error_text(ErrorCode::checkpoint, [&] { read_file(header, data_bytes); });
}

std::string one_tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

}  // namespace

TEST_CASE("what is planned is read back", "[safetensors]") {
  const SafetensorsPlan plan = plan_safetensors({{"b.weight", DType::f32, {2, 3}, 0, 0},
                                                 {"a", DType::u8, {5}, 0, 0},
                                                 {"count", DType::i64, {}, 0, 0},
                                                 {"half", DType::bf16, {1, 2, 3, 4}, 0, 0},
                                                 {"empty", DType::f32, {0, 512}, 0, 0}});

  const std::vector<TensorInfo> read = read_bytes(plan.header + std::string(plan.file_bytes - plan.header.size(), 'd'));

  REQUIRE(read.size() == 5);
  REQUIRE(plan.tensors.size() == 5);
  CHECK(plan.header.size() % 64 == 0);
  CHECK(plan.tensors[0].name == "count");
  CHECK(plan.tensors[1].name == "b.weight");
  CHECK(plan.tensors[4].name == "a");
  CHECK(plan.file_bytes == plan.header.size() + 8 + 24 + 48 + 5);
  for (const TensorInfo& planned : plan.tensors) {
    const auto found =
        std::find_if(read.begin(), read.end(), [&](const auto& info) { return info.name == planned.name; });
    REQUIRE(found != read.end());
    CHECK(found->dtype == planned.dtype);
    CHECK(found->shape == planned.shape);
    CHECK(found->offset == planned.offset);
    CHECK(found->bytes == planned.bytes);
    CHECK(planned.offset % size_of(planned.dtype) == 0);
  }
}

TEST_CASE("the bytes of a header are the published format", "[safetensors]") {
  const SafetensorsPlan plan = plan_safetensors({{"w", DType::f32, {2}, 0, 0}, {"n", DType::i64, {}, 0, 0}});

  const std::string json = R"({"__metadata__":{"format":"pt"},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                           R"("w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})";
  const std::string padded = json + std::string(64 - (8 + json.size()) % 64, ' ');
  CHECK(plan.header == with_length(padded, padded.size()));
}

TEST_CASE("equal names are refused", "[safetensors]") {
  const std::vector<TensorInfo> twice{{"w", DType::f32, {2}, 0, 0}, {"w", DType::f32, {2}, 0, 0}};

  CHECK_THAT(error_text(ErrorCode::internal, [&] { plan_safetensors(twice); }), Contains("'w'"));
}

TEST_CASE("a file of another writer is read: order, padding and metadata are free", "[safetensors]") {
  const std::vector<TensorInfo> read = read_file(R"({"b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]},)"
                                                 R"("__metadata__":{"format":"np","x":"y"},)"
                                                 R"("a":{"data_offsets":[0,4],"shape":[1],"dtype":"I32"}}    )",
                                                 8);

  REQUIRE(read.size() == 2);
  CHECK(read[0].name == "a");
  CHECK(read[1].offset == read[0].offset + 4);
}

TEST_CASE("hostile headers are refused with the reason", "[safetensors]") {
  const std::string good = one_tensor("\"F32\"", "[2]", "[0,8]");
  REQUIRE(read_file(good, 8).size() == 1);

  CHECK_THAT(error_text(ErrorCode::checkpoint, [] { read_bytes("1234"); }),
             Contains("x.safetensors") && Contains("4 bytes") && Contains("Use another checkpoint"));
  CHECK_THAT(error_text(ErrorCode::checkpoint, [&] { read_bytes(with_length(good, good.size() + 1)); }),
             Contains("header length"));
  CHECK_THAT(error_text(ErrorCode::checkpoint, [&] { read_bytes(with_length(good, ~std::uint64_t{0})); }),
             Contains("header length 18446744073709551615"));
  CHECK_THAT(error_text(ErrorCode::checkpoint, [&] { read_bytes(with_length("", 0)); }), Contains("'{'"));
  CHECK_THAT(reading_fails("[1]", 0), Contains("'{'"));
  CHECK_THAT(reading_fails(R"({"a":)", 0), Contains("not valid JSON"));
  CHECK_THAT(reading_fails("{\"a\xff\":1}", 0), Contains("not valid JSON"));
  CHECK_THAT(reading_fails(R"({"a":)" + std::string(100, '[') + std::string(100, ']') + "}", 0), Contains("nested"));
  CHECK_THAT(reading_fails(R"({"a":1})", 0), Contains("tensor 'a'"));
  CHECK_THAT(reading_fails(R"({"a":{"dtype":"F32","shape":[2]}})", 8), Contains("'data_offsets' is missing"));
  CHECK_THAT(reading_fails(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{}})", 8),
             Contains("'a' stands twice"));
  CHECK_THAT(reading_fails(one_tensor("\"F8_E4M3\"", "[2]", "[0,2]"), 2), Contains("type 'F8_E4M3' is unknown"));
  CHECK_THAT(reading_fails(one_tensor("32", "[2]", "[0,8]"), 8), Contains("'dtype' is not a text"));
  CHECK_THAT(reading_fails(one_tensor("\"F32\"", "[-2]", "[0,8]"), 8), Contains("'shape' is not a whole number"));
  CHECK_THAT(reading_fails(one_tensor("\"F32\"", "[2.0]", "[0,8]"), 8), Contains("'shape' is not a whole number"));
  CHECK_THAT(reading_fails(one_tensor("\"F32\"", "2", "[0,8]"), 8), Contains("'shape' is not a list"));
  CHECK_THAT(reading_fails(one_tensor("\"F32\"", "[1,1,1,1,2]", "[0,8]"), 8), Contains("5 dimensions"));
  CHECK_THAT(reading_fails(one_tensor("\"F32\"", "[4294967296,4294967296,2]", "[0,8]"), 8), Contains("too large"));
  CHECK_THAT(reading_fails(one_tensor("\"F32\"", "[18446744073709551615]", "[0,8]"), 8), Contains("whole number"));
  CHECK_THAT(reading_fails(one_tensor("\"F32\"", "[3]", "[0,8]"), 8), Contains("needs 12 bytes, 8 are given"));
  CHECK_THAT(reading_fails(one_tensor("\"F32\"", "[2]", "[8,0]"), 8), Contains("bytes 8 to 0 leave"));
  CHECK_THAT(reading_fails(one_tensor("\"F32\"", "[2]", "[0,9]"), 8), Contains("leave the 8 bytes"));
  CHECK_THAT(reading_fails(one_tensor("\"F32\"", "[2]", "[0]"), 8), Contains("not a pair"));
  CHECK_THAT(reading_fails(one_tensor("\"F32\"", "[2]", "[-1,7]"), 8), Contains("not a pair"));
  CHECK_THAT(reading_fails(one_tensor("\"F32\"", "[2]", "[4,12]"), 12), Contains("gap"));
  CHECK_THAT(reading_fails(good, 9), Contains("need 8 bytes of data, it has 9"));
  CHECK_THAT(reading_fails(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                           R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                           6),
             Contains("overlap"));
}

TEST_CASE("a header with random changes is read or refused, never more", "[safetensors]") {
  const SafetensorsPlan plan = plan_safetensors({{"conv1.weight", DType::f32, {4, 3, 3, 3}, 0, 0},
                                                 {"bn1.num_batches_tracked", DType::i64, {}, 0, 0},
                                                 {"fc.weight", DType::f32, {8, 16}, 0, 0}});
  const std::string good = plan.header + std::string(plan.file_bytes - plan.header.size(), 'd');
  int refused = 0;
  for (std::uint64_t round = 0; round < 3000; ++round) {
    CounterRng rng(1, RandomPurpose::test, round);
    std::string bytes = good;
    const std::uint64_t changes = 1 + rng.below(3);
    for (std::uint64_t change = 0; change < changes; ++change) {
      const std::uint64_t place = rng.below(plan.header.size());
      switch (rng.below(3)) {
        case 0: bytes[place] = static_cast<char>(rng.below(256)); break;
        case 1: bytes[place] = "0123456789[]{},:\"-eE. "[rng.below(22)]; break;
        default: bytes.erase(place, 1 + rng.below(8)); break;
      }
    }
    try {
      for (const TensorInfo& info : read_bytes(bytes)) REQUIRE(info.offset + info.bytes <= bytes.size());
    } catch (const Error& error) {
      REQUIRE(error.code() == ErrorCode::checkpoint);
      ++refused;
    }
  }

  CHECK(refused > 1500);
}

}  // namespace plsc::checkpoint
