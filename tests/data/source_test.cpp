#include "plsc/data/source.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <string_view>

#include "data/captured_stderr.h"
#include "data/errors.h"
#include "support/images.h"
#include "support/temp_dir.h"

namespace plsc::data {

namespace {

using Catch::Contains;
using config::DataConfig;
using config::OnError;
using test::TempDir;

/// A list file with the given text, and what opening it does.
struct ListFile {
  explicit ListFile(std::string_view text) {
    test::write_file(folder / "train.txt", text);
    config.list = (folder / "train.txt").string();
  }
  Error error() const {
    return test::error_of([&] { open_source(config); });
  }

  TempDir folder;
  DataConfig config;
};

std::string context_of(const Error& error) { return error.context().empty() ? "" : error.context().front(); }

}  // namespace

TEST_CASE("a list gives paths, labels and places", "[source]") {
  const ListFile list("a.jpg\t0\nsub dir/b c.jpg\t2\n\nd.jpg 1\r\n  \ne  f.png   1\t\n");
  const auto source = open_source(list.config);

  REQUIRE(source->size() == 4);
  REQUIRE(source->num_classes() == 3);
  REQUIRE(source->label(0) == 0);
  REQUIRE(source->label(1) == 2);
  REQUIRE(source->label(2) == 1);
  REQUIRE(source->label(3) == 1);
  REQUIRE(source->describe(0) == list.config.list + ", line 1: a.jpg");
  REQUIRE(source->describe(1) == list.config.list + ", line 2: sub dir/b c.jpg");
  REQUIRE(source->describe(2) == list.config.list + ", line 4: d.jpg");
  REQUIRE(source->describe(3) == list.config.list + ", line 6: e  f.png");
}

TEST_CASE("byte order mark, missing last newline and several samples of a class are fine", "[source]") {
  const ListFile list(
      "\xEF\xBB\xBF"
      "a.jpg 0\nb.jpg 0\nc.jpg 1");
  const auto source = open_source(list.config);

  REQUIRE(source->size() == 3);
  REQUIRE(source->describe(0) == list.config.list + ", line 1: a.jpg");
  REQUIRE(source->num_classes() == 2);
}

TEST_CASE("paths are relative to the list's folder, to data.root, or absolute", "[source]") {
  const TempDir folder;
  test::write_file(folder / "lists/in_list_folder.jpg", "list");
  test::write_file(folder / "images/in_root.jpg", "root");
  test::write_file(folder / "lists/one.txt", "in_list_folder.jpg 0\n");
  test::write_file(folder / "lists/two.txt", "in_root.jpg 0\n" + (folder / "images/in_root.jpg").string() + " 0\n");
  DataConfig one;
  one.list = (folder / "lists/one.txt").string();
  DataConfig two;
  two.list = (folder / "lists/two.txt").string();
  two.root = (folder / "images").string();
  std::vector<std::byte> bytes(99);

  open_source(one)->read(0, bytes);
  REQUIRE(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == "list");
  for (const std::uint64_t index : {0ULL, 1ULL}) {
    open_source(two)->read(index, bytes);
    REQUIRE(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) == "root");
  }
}

TEST_CASE("a bad line is an error with file, line, value and what to do", "[source]") {
  const auto check = [](std::string_view line, std::string_view problem, std::int64_t num_classes = 0) {
    ListFile list(std::string("a.jpg 0\n") + std::string(line) + "\n");
    list.config.num_classes = num_classes;
    const Error error = list.error();
    INFO(error.what());
    CHECK(error.code() == ErrorCode::data);
    CHECK_THAT(error.message(), Contains(std::string(problem)));
    CHECK_THAT(error.message(), Contains("data.on_error=skip"));
    CHECK(context_of(error) == list.config.list + ", line 2");
  };

  check("b.jpg", "The line has no label (it is 'b.jpg')");
  check("b.jpg\t", "The line has no label (it is 'b.jpg')");
  check("\t7", "The line has no path");
  check("b.jpg\tcat", "The label is not a whole number (it is 'cat')");
  check("b.jpg\t1 2", "The label is not a whole number (it is '1 2')");
  check("b.jpg\t1.0", "The label is not a whole number (it is '1.0')");
  check("b.jpg\t-1", "The label is negative (it is -1)");
  check("b.jpg\t2147483647", "The label is too large (it is 2147483647, the limit is 2147483646)");
  check("b.jpg\t99999999999999999999", "The label is too large (it is 99999999999999999999");
  check("b.jpg\t10", "The label is outside the 10 classes (it is 10, the largest allowed is 9)", 10);
  check("0\t1\tb.jpg", "The line has more than two fields");
  check(std::string_view("b\0.jpg\t1", 8), "The line holds a zero byte");
}

TEST_CASE("with on_error=skip bad lines are left out, counted and named", "[source]") {
  ListFile list("a.jpg 0\nb.jpg\nc.jpg -4\nd.jpg x\ne.jpg 1\nf.jpg 5\ng.jpg 1\n");
  list.config.on_error = OnError::skip;
  list.config.num_classes = 2;
  test::CapturedStderr log;

  const auto source = open_source(list.config);

  const std::string text = log.text();
  REQUIRE(source->size() == 3);
  REQUIRE(source->describe(1) == list.config.list + ", line 5: e.jpg");
  REQUIRE(source->describe(2) == list.config.list + ", line 7: g.jpg");
  REQUIRE_THAT(text, Contains("left out 4 lines of " + list.config.list) && Contains("data.on_error=skip"));
  REQUIRE_THAT(text, Contains("line 2: The line has no label") && Contains("line 3: The label is negative") &&
                         Contains("line 4: The label is not a whole number") && Contains("and 1 more"));
  REQUIRE_THAT(text, !Contains("line 6"));
}

TEST_CASE("lists that cannot be used at all", "[source]") {
  ListFile empty("");
  ListFile blank("\n  \n");
  ListFile bad("a.jpg\nb.jpg\n");
  bad.config.on_error = OnError::skip;
  ListFile missing("");
  missing.config.list += ".gone";
  ListFile folder("");
  folder.config.list = folder.folder.path().string();
  ListFile rootless("a.jpg 0\n");
  rootless.config.root = (rootless.folder / "no-such-root").string();
  test::CapturedStderr silence;

  CHECK_THAT(empty.error().message(), Contains(empty.config.list + " has no samples (the file is empty)"));
  CHECK_THAT(blank.error().message(), Contains("has no samples"));
  CHECK_THAT(bad.error().message(), Contains("has no samples (all its 2 lines are bad)"));
  CHECK(empty.error().code() == ErrorCode::data);
  CHECK_THAT(missing.error().message(),
             Contains("Cannot open the list " + missing.config.list + " (No such file or directory)"));
  CHECK(missing.error().code() == ErrorCode::io);
  CHECK_THAT(folder.error().message(),
             Contains("Cannot read the list") && Contains("it is a folder") && Contains("data.folder"));
  CHECK_THAT(rootless.error().message(),
             Contains("Cannot open the folder " + rootless.config.root + " (No such file or directory)"));
}

TEST_CASE("exactly one training set must be named", "[source]") {
  DataConfig none;
  DataConfig both;
  both.list = "train.txt";
  both.folder = "images";

  const Error error = test::error_of([&] { open_source(none); });
  CHECK(error.code() == ErrorCode::config);
  CHECK_THAT(error.message(), Contains("No training data is named") && Contains("data.list"));
  CHECK_THAT(test::error_of([&] { open_source(both); }).message(), Contains("Two training sets are named"));
}

TEST_CASE("class ids without images are named in a warning", "[source]") {
  ListFile list("a.jpg 1\nb.jpg 3\nc.jpg 4\nd.jpg 5\n");
  test::CapturedStderr log;

  const auto source = open_source(list.config);

  REQUIRE(source->num_classes() == 6);
  REQUIRE_THAT(log.text(), Contains("2 of the 6 class ids of " + list.config.list + " have no image (first: 0, 2)"));
}

TEST_CASE("labels that are hardly class ids are an error unless the class count is stated", "[source]") {
  ListFile list("a.jpg 1000\nb.jpg 2000\n");

  const Error error = list.error();
  REQUIRE(error.code() == ErrorCode::data);
  REQUIRE_THAT(error.message(), Contains("1999 of the 2001 class ids") && Contains("first: 0, 1, 2, 3, 4") &&
                                    Contains("set data.num_classes to accept it"));

  list.config.num_classes = 3000;
  test::CapturedStderr log;
  REQUIRE(open_source(list.config)->num_classes() == 3000);
  REQUIRE_THAT(log.text(), Contains("2998 of the 3000 class ids"));
}

TEST_CASE("an evaluation list may lack classes but not exceed them", "[source]") {
  const ListFile list("a.jpg 1000\nb.jpg 2000\n");
  test::CapturedStderr log;

  const auto source = open_list(list.config.list, "", 5000, OnError::fail);

  REQUIRE(log.text().empty());
  REQUIRE(source->num_classes() == 5000);
  REQUIRE(open_list(list.config.list, "", 0, OnError::fail)->num_classes() == 2001);
  REQUIRE_THAT(test::error_of([&] { open_list(list.config.list, "", 2000, OnError::fail); }).message(),
               Contains("outside the 2000 classes (it is 2000"));
}

TEST_CASE("a large list stays cheap and keeps its places", "[source]") {
  std::string text;
  for (int i = 0; i < 200000; ++i) text += "folder/" + std::to_string(i) + ".jpg\t" + std::to_string(i % 1000) + "\n";
  const ListFile list(text);

  const auto source = open_source(list.config);

  REQUIRE(source->size() == 200000);
  REQUIRE(source->num_classes() == 1000);
  REQUIRE(source->describe(123456) == list.config.list + ", line 123457: folder/123456.jpg");
  REQUIRE(source->label(123456) == 456);
}

TEST_CASE("class folders sorted by bytes are the classes", "[source]") {
  const TempDir folder;
  for (const char* name : {"b/2.PNG", "b/10.jpeg", "b/deeper/3.jpg", "b/notes.txt", "B/x.jpg", "a b/y.bmp",
                           ".git/z.jpg", "b/.hidden.jpg", "top.jpg"}) {
    test::write_file(folder / name, name);
  }
  DataConfig config;
  config.folder = folder.path().string();

  const auto source = open_source(config);

  REQUIRE(source->size() == 4);
  REQUIRE(source->num_classes() == 3);
  const std::string expected[] = {"/B/x.jpg (class 0)", "/a b/y.bmp (class 1)", "/b/10.jpeg (class 2)",
                                  "/b/2.PNG (class 2)"};
  for (std::uint64_t i = 0; i < 4; ++i) REQUIRE(source->describe(i) == config.folder + expected[i]);
  REQUIRE(source->label(3) == 2);
  std::vector<std::byte> bytes;
  source->read(1, bytes);
  REQUIRE(bytes.size() == std::string("a b/y.bmp").size());
}

TEST_CASE("class folders that cannot be used", "[source]") {
  const TempDir flat;
  test::write_file(flat / "a.jpg", "x");
  const TempDir hollow;
  std::filesystem::create_directories(hollow / "a");
  const TempDir mixed;
  test::write_file(mixed / "a/1.jpg", "x");
  std::filesystem::create_directories(mixed / "b");
  test::write_file(mixed / "c/1.jpg", "x");
  const auto error_of_folder = [](const std::string& path, OnError on_error, std::int64_t num_classes = 0) {
    DataConfig config;
    config.folder = path;
    config.on_error = on_error;
    config.num_classes = num_classes;
    return test::error_of([&] { open_source(config); });
  };
  test::CapturedStderr silence;

  const Error missing = error_of_folder((flat / "gone").string(), OnError::fail);
  CHECK(missing.code() == ErrorCode::io);
  CHECK_THAT(missing.message(), Contains("Cannot open the folder") && Contains("No such file or directory"));
  CHECK_THAT(error_of_folder((flat / "a.jpg").string(), OnError::fail).message(), Contains("Not a directory"));
  CHECK_THAT(error_of_folder(flat.path().string(), OnError::fail).message(),
             Contains("has no class folders") && Contains("data.list"));
  CHECK_THAT(error_of_folder(hollow.path().string(), OnError::skip).message(),
             Contains("has no samples (none of its 1 class folders holds an image)"));
  CHECK_THAT(
      error_of_folder(mixed.path().string(), OnError::fail).message(),
      Contains("The class folder " + mixed.path().string() + "/b has no images") && Contains("data.on_error=skip"));
  CHECK_THAT(error_of_folder(mixed.path().string(), OnError::skip, 2).message(),
             Contains("has 3 class folders, more than the 2 classes of data.num_classes"));
}

TEST_CASE("with on_error=skip an empty class folder keeps its id", "[source]") {
  const TempDir folder;
  test::write_file(folder / "a/1.jpg", "x");
  std::filesystem::create_directories(folder / "b");
  test::write_file(folder / "c/1.jpg", "x");
  DataConfig config;
  config.folder = folder.path().string();
  config.on_error = OnError::skip;
  test::CapturedStderr log;

  const auto source = open_source(config);

  REQUIRE(source->num_classes() == 3);
  REQUIRE(source->label(1) == 2);
  const std::string text = log.text();
  REQUIRE_THAT(text, Contains("left out 1 class folders of " + config.folder) && Contains("/b (class 1): no images"));
  REQUIRE_THAT(text, Contains("1 of the 3 class ids") && Contains("first: 1"));
}

TEST_CASE("a folder that cannot be listed is an error", "[source]") {
  const TempDir folder;
  std::filesystem::create_symlink("loop", folder / "loop");
  DataConfig config;
  config.folder = folder.path().string();

  const Error error = test::error_of([&] { open_source(config); });

  REQUIRE(error.code() == ErrorCode::io);
  REQUIRE_THAT(error.message(), Contains("Cannot list the folder " + config.folder) && Contains("symbolic links"));
}

TEST_CASE("files that are no samples say why", "[source]") {
  const TempDir folder;
  test::write_file(folder / "empty.jpg", "");
  test::write_file(folder / "huge.jpg", "x");
  std::filesystem::resize_file(folder / "huge.jpg", (256 << 20) + 1);  // sparse
  std::filesystem::create_directories(folder / "dir.jpg");
  test::write_file(folder / "list.txt", "empty.jpg 0\nhuge.jpg 0\ndir.jpg 0\ngone.jpg 0\n/dev/null 0\n");
  const auto source = open_list((folder / "list.txt").string(), "", 0, OnError::fail);
  const auto error_of_read = [&](std::uint64_t index) {
    return test::error_of([&] {
      std::vector<std::byte> bytes;
      source->read(index, bytes);
    });
  };

  CHECK_THAT(error_of_read(0).message(), Contains("Cannot read the image (the file is empty)"));
  CHECK_THAT(error_of_read(1).message(), Contains("the file has 268435457 bytes, more than 268435456"));
  CHECK_THAT(error_of_read(2).message(), Contains("it is not a regular file"));
  CHECK_THAT(error_of_read(3).message(), Contains("No such file or directory") && Contains("data.root"));
  CHECK_THAT(error_of_read(4).message(), Contains("it is not a regular file"));
  for (std::uint64_t i = 0; i < 5; ++i) CHECK(error_of_read(i).code() == ErrorCode::data);
}

}  // namespace plsc::data
