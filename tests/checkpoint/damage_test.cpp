// Damaged checkpoints: found, and named by file, tensor and rows.

#include <catch2/catch.hpp>

#include "checkpoint/memory_storage.h"
#include "checkpoint/snapshots.h"
#include "plsc/checkpoint/checkpoint.h"
#include "plsc/checkpoint/safetensors.h"
#include "plsc/comm/self.h"

namespace plsc::checkpoint {

namespace {

using Catch::Matchers::Contains;

constexpr std::uint64_t kLimit = 1 << 20;

/// A checkpoint in memory whose files a test may change.
class Damaged {
 public:
  Damaged() {
    const auto self = comm::make_self_communicator();
    directory_.path = save(make_snapshot(7, {13}, 0), directory_, *self);
  }

  const storage::Location& directory() const { return directory_; }
  std::string get(const std::string& file) const {
    return storage::read_text(*directory_.storage, directory_.path / file, kLimit);
  }
  void set(const std::string& file, const std::string& text) {
    storage::write_text(*directory_.storage, directory_.path / file, text);
  }
  /// First occurrence of `from` in the manifest; it must be there.
  void change_manifest(const std::string& from, const std::string& to) {
    std::string text = get("manifest.json");
    const std::size_t place = text.find(from);
    REQUIRE(place != std::string::npos);
    set("manifest.json", text.replace(place, from.size(), to));
  }
  void remove(const std::string& file) { directory_.storage->remove_all(directory_.path / file); }

  std::string load_text() const {
    const auto self = comm::make_self_communicator();
    Snapshot snapshot = make_snapshot(1, {13}, 0);
    return error_text(ErrorCode::checkpoint, [&] { load(directory_, snapshot, *self); });
  }
  std::string manifest_text() const {
    return error_text(ErrorCode::checkpoint, [&] { read_manifest(directory_); });
  }

 private:
  storage::Location directory_{std::make_shared<MemoryStorage>(), "/run"};
};

constexpr const char* kHead = "head-00000-of-00001.safetensors";

}  // namespace

TEST_CASE("a flipped byte is found, with file, tensor and rows", "[damage]") {
  Damaged checkpoint;
  std::string bytes = checkpoint.get(kHead);
  bytes[bytes.size() - 1] ^= 1;
  checkpoint.set(kHead, bytes);

  CHECK_THAT(checkpoint.load_text(), Contains(kHead) && Contains("'weight.momentum'") && Contains("rows 0 to 13") &&
                                         Contains("checksum") && Contains("Use another checkpoint"));
}

TEST_CASE("a flipped bit anywhere in a tensor file is found or harmless", "[damage]") {
  for (const std::string file : {"backbone.safetensors", "optimizer.safetensors", kHead}) {
    Damaged checkpoint;
    const std::string good = checkpoint.get(file);
    std::uint64_t header_bytes = 0;
    std::memcpy(&header_bytes, good.data(), 8);
    for (std::size_t place = 0; place < good.size(); place += 3) {
      std::string bytes = good;
      bytes[place] = static_cast<char>(bytes[place] ^ (1 << (place % 8)));
      checkpoint.set(file, bytes);
      const auto self = comm::make_self_communicator();
      Snapshot loaded = make_snapshot(1, {13}, 0);
      try {
        load(checkpoint.directory(), loaded, *self);
        REQUIRE(same(loaded, make_snapshot(7, {13}, 0)));  // metadata and padding carry nothing
        REQUIRE(place < 8 + header_bytes);
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::checkpoint);
        REQUIRE_THAT(error.what(), Contains(file));
      }
    }
  }
}

TEST_CASE("missing, truncated and foreign files are named", "[damage]") {
  Damaged checkpoint;
  const std::string good = checkpoint.get(kHead);

  checkpoint.set(kHead, good.substr(0, good.size() - 1));
  CHECK_THAT(checkpoint.load_text(), Contains(kHead) && Contains(std::to_string(good.size() - 1) + " bytes, " +
                                                                 std::to_string(good.size()) + " were written"));
  checkpoint.remove(kHead);
  CHECK_THAT(checkpoint.load_text(), Contains(kHead) && Contains("it is missing"));
  std::string foreign = plan_safetensors({{"x", DType::u8, {1}, 0, 0}}).header;
  foreign.resize(good.size(), ' ');
  checkpoint.set(kHead, foreign);
  CHECK_THAT(checkpoint.load_text(), Contains(kHead) && Contains("no readable safetensors file"));
  std::string renamed = good;
  renamed[renamed.find("\"bias\"") + 1] = 'c';
  checkpoint.set(kHead, renamed);
  CHECK_THAT(checkpoint.load_text(), Contains("'bias' is not in it as the manifest says"));
}

TEST_CASE("the configuration is checked too", "[damage]") {
  Damaged checkpoint;
  const auto config_text = [&] {
    return error_text(ErrorCode::checkpoint, [&] { read_config(checkpoint.directory()); });
  };

  checkpoint.set("config.yaml", "train:\n  seed: 8\n");
  CHECK_THAT(config_text(), Contains("config.yaml") && Contains("checksum"));
  checkpoint.remove("config.yaml");
  CHECK_THAT(config_text(), Contains("config.yaml") && Contains("missing"));
}

TEST_CASE("manifests that are missing, cut off, garbage or newer are refused", "[damage]") {
  Damaged checkpoint;
  const std::string good = checkpoint.get("manifest.json");

  checkpoint.set("manifest.json", good.substr(0, good.size() / 2));
  CHECK_THAT(checkpoint.manifest_text(), Contains("manifest.json is damaged") && Contains("not valid JSON"));
  checkpoint.set("manifest.json", "");
  CHECK_THAT(checkpoint.manifest_text(), Contains("not valid JSON"));
  checkpoint.set("manifest.json", "{}");
  CHECK_THAT(checkpoint.manifest_text(), Contains("'format' is missing"));
  checkpoint.set("manifest.json", "[3]");
  CHECK_THAT(checkpoint.manifest_text(), Contains("damaged"));
  checkpoint.set("manifest.json", R"({"format":"other"})");
  CHECK_THAT(checkpoint.manifest_text(), Contains("not a plsc-train manifest"));
  checkpoint.set("manifest.json", good);
  checkpoint.change_manifest("\"version\": 1", "\"version\": 2");
  CHECK_THAT(checkpoint.manifest_text(),
             Contains("newer plsc-train") && Contains("format version 2, this program reads up to 1"));
  checkpoint.remove("manifest.json");
  CHECK_THAT(checkpoint.manifest_text(), Contains("no complete checkpoint") && Contains("step_N"));
  CHECK_THAT(checkpoint.load_text(), Contains("no complete checkpoint"));
}

TEST_CASE("inconsistent manifests are refused with the reason", "[damage]") {
  const auto changed = [](const std::string& from, const std::string& to) {
    Damaged checkpoint;
    checkpoint.change_manifest(from, to);
    return checkpoint.manifest_text();
  };

  CHECK_THAT(changed("\"version\": 1", "\"version\": 0"), Contains("'version' is out of range"));
  CHECK_THAT(changed("\"samples\": 672", "\"samples\": 673"), Contains("its checksum does not match"));
  CHECK_THAT(changed("\"samples\": 672", "\"samples\": -1"), Contains("'samples' is not a whole number"));
  CHECK_THAT(changed("\"samples\": 672", "\"samples\": 1e3"), Contains("'samples' is not a whole number"));
  CHECK_THAT(changed("\"world_size\": 1", "\"world_size\": 0"), Contains("'world_size' is out of range"));
  CHECK_THAT(changed("\"loss\": 7.0", "\"loss\": \"x\""), Contains("metric 'loss'"));
  CHECK_THAT(changed("\"threads\": \"2\"", "\"threads\": 2"), Contains("'tuned_choices.threads' is not a text"));
  CHECK_THAT(changed("\"name\": \"optimizer.safetensors\"", "\"name\": \"backbone.safetensors\""),
             Contains("backbone.safetensors stands twice"));
  CHECK_THAT(changed("\"name\": \"optimizer.safetensors\"", "\"name\": \"../secret\""),
             Contains("'../secret' is not a file name"));
  CHECK_THAT(changed("\"name\": \"optimizer.safetensors\"", "\"name\": \"other\""), Contains("which is not listed"));
  CHECK_THAT(changed("\"group\": \"backbone\"", "\"group\": \"other\""), Contains("do not agree"));
  CHECK_THAT(changed("\"begin\": 0", "\"begin\": 1"), Contains("do not agree"));
  CHECK_THAT(changed("\"block_rows\": ", "\"block_rows\": 0, \"x\": "), Contains("do not agree"));
  CHECK_THAT(changed("\"checksums\": [\n    \"", "\"checksums\": [\n    \"zz"), Contains("16 hexadecimal digits"));
  CHECK_THAT(changed("\"shape\": []", "\"shape\": [9223372036854775807]"), Contains("too large"));
  CHECK_THAT(changed("\"total\": 13", "\"total\": 14"), Contains("rows 13 to 14 of head"));
  CHECK_THAT(changed("\"name\": \"bn1.weight\"", "\"name\": \"conv1.weight\""), Contains("do not continue"));
}

TEST_CASE("a manifest with random changes is read or refused, never more", "[damage]") {
  Damaged checkpoint;
  const std::string good = checkpoint.get("manifest.json");
  int refused = 0;
  for (std::uint64_t round = 0; round < 1500; ++round) {
    CounterRng rng(2, RandomPurpose::test, round);
    std::string bytes = good;
    const std::uint64_t changes = 1 + rng.below(2);
    for (std::uint64_t change = 0; change < changes; ++change) {
      const std::uint64_t place = rng.below(bytes.size());
      switch (rng.below(3)) {
        case 0: bytes[place] = static_cast<char>(rng.below(256)); break;
        case 1: bytes[place] = "0123456789[]{},:\"-eE. "[rng.below(22)]; break;
        default: bytes.erase(place, 1 + rng.below(8)); break;
      }
    }
    checkpoint.set("manifest.json", bytes);
    try {
      const Manifest manifest = read_manifest(checkpoint.directory());
      REQUIRE(manifest.step == 7);  // only white space changed
      REQUIRE(manifest.facts.at("num_classes") == "13");
    } catch (const Error& error) {
      REQUIRE(error.code() == ErrorCode::checkpoint);
      ++refused;
    }
  }

  CHECK(refused > 500);
}

}  // namespace plsc::checkpoint
