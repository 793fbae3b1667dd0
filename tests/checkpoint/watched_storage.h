#pragma once
// A Storage that counts what passes through it and fails at a chosen operation.

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "plsc/core/error.h"
#include "plsc/storage/storage.h"

namespace plsc::checkpoint {

enum class Fault {
  once,  ///< the operation fails, later ones work: a full disk that is cleared, a network error
  crash  ///< nothing works from that operation on, a write stops half way: the process or machine is gone
};

struct Watch {
  int fail_at = std::numeric_limits<int>::max();  ///< operation number, from 1
  Fault fault = Fault::once;
  int operations = 0;
  std::uint64_t bytes_read = 0;

  bool fails_now() {
    ++operations;
    return fault == Fault::once ? operations == fail_at : operations >= fail_at;
  }
  void step(const std::string& what) {
    if (fails_now()) throw Error(ErrorCode::io, "injected failure of " + what + ". Nothing to do.");
  }
};

class WatchedReader final : public storage::Reader {
 public:
  WatchedReader(std::unique_ptr<storage::Reader> inner, Watch& watch) : inner_(std::move(inner)), watch_(watch) {}
  std::uint64_t size() const override { return inner_->size(); }
  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    watch_.step("read");
    watch_.bytes_read += out.size();
    inner_->read(offset, out);
  }

 private:
  std::unique_ptr<storage::Reader> inner_;
  Watch& watch_;
};

class WatchedWriter final : public storage::Writer {
 public:
  WatchedWriter(std::unique_ptr<storage::Writer> inner, Watch& watch) : inner_(std::move(inner)), watch_(watch) {}
  void write(std::span<const std::byte> data) override {
    if (watch_.fails_now()) {
      if (watch_.operations == watch_.fail_at) inner_->write(data.first(data.size() / 2));
      throw Error(ErrorCode::io, "injected failure of write. Nothing to do.");
    }
    inner_->write(data);
  }
  void close() override {
    watch_.step("close");
    inner_->close();
  }

 private:
  std::unique_ptr<storage::Writer> inner_;
  Watch& watch_;
};

/// `watch` must outlive the storage. For one thread.
class WatchedStorage final : public storage::Storage {
 public:
  WatchedStorage(std::shared_ptr<storage::Storage> inner, Watch& watch) : inner_(std::move(inner)), watch_(watch) {}

  std::unique_ptr<storage::Reader> open_read(const storage::Path& path) override {
    watch_.step("open_read");
    return std::make_unique<WatchedReader>(inner_->open_read(path), watch_);
  }
  std::unique_ptr<storage::Writer> open_write(const storage::Path& path, std::uint64_t expected) override {
    watch_.step("open_write");
    return std::make_unique<WatchedWriter>(inner_->open_write(path, expected), watch_);
  }
  std::vector<storage::Entry> list(const storage::Path& directory) override {
    watch_.step("list");
    return inner_->list(directory);
  }
  bool exists(const storage::Path& path) override {
    watch_.step("exists");
    return inner_->exists(path);
  }
  void rename(const storage::Path& from, const storage::Path& to) override {
    watch_.step("rename");
    inner_->rename(from, to);
  }
  /// A crash half way leaves a directory with some of its files; which ones is the worst case: the manifest stays.
  void remove_all(const storage::Path& path) override {
    if (watch_.fails_now()) {
      if (watch_.operations == watch_.fail_at && inner_->exists(path)) {
        for (const storage::Entry& entry : inner_->list(path)) {
          if (entry.name != "manifest.json") inner_->remove_all(path / entry.name);
        }
      }
      throw Error(ErrorCode::io, "injected failure of remove_all. Nothing to do.");
    }
    inner_->remove_all(path);
  }
  void make_directories(const storage::Path& path) override {
    watch_.step("make_directories");
    inner_->make_directories(path);
  }
  void sync_directory(const storage::Path& directory) override {
    watch_.step("sync_directory");
    inner_->sync_directory(directory);
  }

 private:
  std::shared_ptr<storage::Storage> inner_;
  Watch& watch_;
};

inline storage::Location watched(const storage::Location& place, Watch& watch) {
  return {std::make_shared<WatchedStorage>(place.storage, watch), place.path};
}

}  // namespace plsc::checkpoint
