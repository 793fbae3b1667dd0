#include <catch2/catch.hpp>
#include <filesystem>

#include "plsc/core/error.h"
#include "plsc/eval/verification_set.h"
#include "support/images.h"
#include "support/temp_dir.h"

namespace plsc::eval {

namespace {

using Catch::Matchers::Contains;
using test::TempDir;
using test::write_file;

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

TEST_CASE("a pair list is read with tabs or spaces", "[pair_list]") {
  const TempDir folder;
  std::filesystem::create_directory(folder / "faces");
  for (const char* name : {"a.jpg", "b.jpg", "c d.jpg"}) write_file(folder.path() / "faces" / name, name);
  write_file(folder / "pairs.txt", "faces/a.jpg faces/b.jpg 1\r\n\nfaces/a.jpg\tfaces/c d.jpg\t0\n");
  write_file(folder / "rooted.txt", "a.jpg b.jpg 1\nb.jpg a.jpg 0\n");

  const VerificationSet set = read_pair_list((folder / "pairs.txt").string(), "");
  const VerificationSet rooted = read_pair_list((folder / "rooted.txt").string(), (folder / "faces").string());

  CHECK(set.name == "pairs");
  CHECK(set.same == std::vector<std::uint8_t>{1, 0});
  REQUIRE(set.images.size() == 4);
  CHECK(text_of(set.images[0]) == "a.jpg");
  CHECK(text_of(set.images[1]) == "b.jpg");
  CHECK(text_of(set.images[3]) == "c d.jpg");
  CHECK_THAT(set.describe(3), Contains("pairs.txt, line 3: faces/c d.jpg"));
  CHECK(text_of(rooted.images[2]) == "b.jpg");
}

TEST_CASE("errors of a pair list name file and line", "[pair_list]") {
  const TempDir folder;
  write_file(folder / "a.jpg", "a");
  const std::string path = (folder / "pairs.txt").string();
  const auto read = [&](const std::string& text) {
    write_file(path, text);
    return read_pair_list(path, "");
  };

  CHECK_THROWS_WITH(read("a.jpg a.jpg 1\na.jpg a.jpg\n"), Contains("pairs.txt, line 2: 2 fields (expected 3"));
  CHECK_THROWS_WITH(read("a.jpg a.jpg yes\n"), Contains("pairs.txt, line 1: the last field is \"yes\""));
  CHECK_THROWS_WITH(read("a.jpg a.jpg 1\na.jpg b.jpg 0\n"), Contains("b.jpg") && Contains("pairs.txt, line 2"));
  CHECK_THROWS_WITH(read("\n"), Contains("pairs.txt holds no pairs"));
  CHECK_THROWS_WITH(read("a.jpg a.jpg 1\n"), Contains("All 1 pairs"));
  CHECK_THROWS_WITH(read_pair_list((folder / "none.txt").string(), ""), Contains("none.txt"));
}

}  // namespace plsc::eval
