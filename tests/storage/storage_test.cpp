#include "plsc/storage/storage.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>

#include "plsc/core/error.h"
#include "support/temp_dir.h"

namespace plsc::storage {

namespace {

using Catch::Matchers::Contains;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

template <class Action>
std::string io_error(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
    return error.what();
  }
  FAIL("no error was thrown");
  return {};
}

}  // namespace

TEST_CASE("a written file is read back by ranges", "[storage]") {
  const test::TempDir dir;
  const Location place(dir / "file.bin");

  const auto writer = place.storage->open_write(place.path, 0);
  writer->write(bytes_of("hello "));
  writer->write(bytes_of("world"));
  writer->close();
  const auto reader = place.storage->open_read(place.path);
  std::string middle(5, '?');
  reader->read(3, std::as_writable_bytes(std::span(middle)));

  CHECK(reader->size() == 11);
  CHECK(middle == "lo wo");
}

TEST_CASE("writing again truncates", "[storage]") {
  const test::TempDir dir;
  const Location place(dir / "file.txt");

  write_text(*place.storage, place.path, "a long text");
  write_text(*place.storage, place.path, "short");

  CHECK(read_text(*place.storage, place.path, 100) == "short");
}

TEST_CASE("URLs choose the store", "[storage]") {
  const test::TempDir dir;

  const Location place = open_storage("file://" + (dir / "a").string());
  write_text(*place.storage, place.path, "x");

  CHECK(std::filesystem::exists(dir / "a"));
  CHECK(open_storage("relative/path").path == Path("relative/path"));
}

TEST_CASE("an unknown scheme is named", "[storage]") {
  try {
    open_storage("hdfs://host/dir");
    FAIL("no error was thrown");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unavailable);
    CHECK_THAT(error.what(), Contains("'hdfs'") && Contains("hdfs://host/dir") && Contains("plain path"));
  }
  CHECK_THAT(io_error([] { open_storage("file://host/dir"); }), Contains("file:///absolute/path"));
}

TEST_CASE("directories are made, listed in order, renamed and removed", "[storage]") {
  const test::TempDir dir;
  const Location root(dir.path());
  Storage& storage = *root.storage;

  storage.make_directories(dir / "a/b/c");
  storage.make_directories(dir / "a/b/c/");
  write_text(storage, dir / "a/z", "123");
  write_text(storage, dir / "a/k", "");
  const std::vector<Entry> entries = storage.list(dir / "a");
  storage.rename(dir / "a", dir / "moved");
  storage.sync_directory(dir.path());
  const bool moved = storage.exists(dir / "moved/b/c") && !storage.exists(dir / "a");
  storage.remove_all(dir / "moved");
  storage.remove_all(dir / "moved");

  REQUIRE(entries.size() == 3);
  CHECK((entries[0].name == "b" && entries[0].directory));
  CHECK((entries[1].name == "k" && !entries[1].directory && entries[1].bytes == 0));
  CHECK((entries[2].name == "z" && entries[2].bytes == 3));
  CHECK(moved);
  CHECK_FALSE(storage.exists(dir / "moved"));
}

TEST_CASE("errors name path, reason and remedy", "[storage]") {
  const test::TempDir dir;
  const Location root(dir.path());
  Storage& storage = *root.storage;
  write_text(storage, dir / "file", "12345");
  storage.make_directories(dir / "full/inner");
  storage.make_directories(dir / "other");

  CHECK_THAT(io_error([&] { storage.open_read(dir / "none"); }),
             Contains("none") && Contains("No such file") && Contains("Check the path"));
  CHECK_THAT(io_error([&] { storage.open_read(dir / "full"); }), Contains("Is a directory"));
  CHECK_THAT(io_error([&] { storage.open_write(dir / "none/file", 0); }), Contains("cannot write"));
  CHECK_THAT(io_error([&] { storage.list(dir / "none"); }), Contains("cannot list"));
  CHECK_THAT(io_error([&] { storage.rename(dir / "other", dir / "full"); }),
             Contains("rename") && Contains("other") && Contains("full") && Contains("Move the existing one away"));
  CHECK_THAT(io_error([&] { storage.make_directories(dir / "file/inner"); }), Contains("make directory"));
  CHECK_THAT(io_error([&] { storage.make_directories(dir / "file"); }), Contains("Not a directory"));
  CHECK_THAT(io_error([&] { storage.sync_directory(dir / "none"); }), Contains("No such file"));
  CHECK_THAT(io_error([&] { storage.exists(dir / std::string(300, 'x')); }), Contains("too long"));
  CHECK_THAT(io_error([&] { storage.remove_all("/proc/self/stat"); }), Contains("cannot remove"));
  CHECK_THAT(io_error([&] { read_text(storage, dir / "file", 4); }), Contains("has 5 bytes (at most 4"));
}

TEST_CASE("a read past the end says where the file ends", "[storage]") {
  const test::TempDir dir;
  const Location place(dir / "file");
  write_text(*place.storage, place.path, "12345");
  const auto reader = place.storage->open_read(place.path);
  std::array<std::byte, 4> out{};

  CHECK_THAT(io_error([&] { reader->read(3, out); }),
             Contains("ends at byte 5") && Contains("bytes 3 to 7") && Contains("again"));
}

TEST_CASE("a full disk is reported with needed and free bytes", "[storage]") {
  if (!std::filesystem::exists("/dev/full")) {
    WARN("no /dev/full here");
    return;
  }
  const Location place("/dev/full");

  const auto writer = place.storage->open_write(place.path, 123456);

  CHECK_THAT(io_error([&] { writer->write(bytes_of("x")); }), Contains("/dev/full") && Contains("disk full") &&
                                                                  Contains("needs 123456 bytes") &&
                                                                  Contains("bytes free") && Contains("Free space"));
}

TEST_CASE("a short write is followed up and its cause reported", "[storage]") {
  const test::TempDir dir;
  const Location place(dir / "limited");
  const pid_t child = ::fork();
  if (child == 0) {  // _exit: the child must not run the parent's destructors
    std::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit { 1000, 1000 };
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      const auto writer = place.storage->open_write(place.path, 3000);
      writer->write(bytes_of(std::string(3000, 'x')));
    } catch (const Error& error) {
      const std::string text = error.what();
      const bool good = error.code() == ErrorCode::io && text.find("File too large") != std::string::npos &&
                        text.find("ulimit -f") != std::string::npos;
      ::_exit(good ? 0 : 2);
    }
    ::_exit(1);
  }

  int status = -1;
  ::waitpid(child, &status, 0);

  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(std::filesystem::file_size(dir / "limited") == 1000);
}

}  // namespace plsc::storage
