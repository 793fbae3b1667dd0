#pragma once
// Where bytes live behind a URL. Local files today; other stores (HDFS, object stores) become further Storage classes
// that open_storage() chooses by the URL's scheme. Failures are Error{io} with path, reason and remedy.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace plsc::storage {

using Path = std::filesystem::path;

/// An open file for ranged reads.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual std::uint64_t size() const = 0;
  /// Fills `out` with the bytes from `offset` on; a file that ends earlier is Error{io}. Thread-safe.
  virtual void read(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

/// A new file, written from front to back. Bytes are durable only after close(); a Writer destroyed without close()
/// leaves a file of no use.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual void write(std::span<const std::byte> data) = 0;
  virtual void close() = 0;
};

struct Entry {
  std::string name;
  bool directory = false;
  std::uint64_t bytes = 0;  ///< files only
};

/// Operations on one store; every call names its object by a path in that store. Thread-safe.
class Storage {
 public:
  virtual ~Storage() = default;

  virtual std::unique_ptr<Reader> open_read(const Path& path) = 0;
  /// Creates or truncates. `expected_bytes` is what the file will need, for the message of a full disk (0: unknown).
  virtual std::unique_ptr<Writer> open_write(const Path& path, std::uint64_t expected_bytes) = 0;
  virtual std::vector<Entry> list(const Path& directory) = 0;  ///< sorted by name
  virtual bool exists(const Path& path) = 0;
  /// Atomic. Replaces a file; a directory cannot take the place of a non-empty one. Durable after sync_directory().
  virtual void rename(const Path& from, const Path& to) = 0;
  virtual void remove_all(const Path& path) = 0;           ///< with everything in it; absent is fine
  virtual void make_directories(const Path& path) = 0;     ///< with parents, durable; existing is fine
  virtual void sync_directory(const Path& directory) = 0;  ///< makes the names in it durable
};

/// A place in a store. Made from a URL or a plain path wherever one is expected.
struct Location {
  std::shared_ptr<Storage> storage;
  Path path;

  Location(std::shared_ptr<Storage> store, Path place);
  Location(const Path& url);  // NOLINT(google-explicit-constructor): paths name places
  Location(const std::string& url) : Location(Path(url)) {}
  Location(const char* url) : Location(Path(url)) {}
};

/// Plain paths and file:///absolute/path; any other scheme is Error{unavailable}.
Location open_storage(const std::string& url);

/// Whole small files. A file of more than `limit` bytes is Error{io}.
std::string read_text(Storage& storage, const Path& path, std::uint64_t limit);
void write_text(Storage& storage, const Path& path, const std::string& text);

}  // namespace plsc::storage
