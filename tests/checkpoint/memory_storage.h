#pragma once
// A Storage in memory, as strict as a disk after a power cut: what a Writer wrote is in the file only from close() on.

#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "plsc/core/error.h"
#include "plsc/storage/storage.h"

namespace plsc::checkpoint {

/// For one thread.
class MemoryStorage final : public storage::Storage {
 public:
  using Path = storage::Path;

  std::unique_ptr<storage::Reader> open_read(const Path& path) override {
    return std::make_unique<MemoryReader>(*file(path));
  }
  std::unique_ptr<storage::Writer> open_write(const Path& path, std::uint64_t) override {
    require(is_directory(path.parent_path()), "open_write", path);
    const auto content = std::make_shared<std::string>();
    nodes_[path.string()] = content;
    return std::make_unique<MemoryWriter>(content);
  }
  std::vector<storage::Entry> list(const Path& directory) override {
    require(is_directory(directory), "list", directory);
    std::vector<storage::Entry> entries;
    for (const auto& [name, content] : nodes_) {
      const Path path(name);
      if (path.parent_path() != directory || path == directory) continue;
      entries.push_back({path.filename().string(), content == nullptr, content ? content->size() : 0});
    }
    return entries;
  }
  bool exists(const Path& path) override { return nodes_.count(path.string()) > 0; }
  void rename(const Path& from, const Path& to) override {
    require(exists(from) && (!is_directory(to) || list(to).empty()), "rename", from);
    std::map<std::string, std::shared_ptr<std::string>> moved;
    for (const auto& [name, content] : nodes_) {
      const bool inside = name == from.string() || name.starts_with(from.string() + "/");
      moved[inside ? to.string() + name.substr(from.string().size()) : name] = content;
    }
    nodes_ = std::move(moved);
  }
  void remove_all(const Path& path) override {
    std::erase_if(nodes_, [&](const auto& node) {
      return node.first == path.string() || node.first.starts_with(path.string() + "/");
    });
  }
  void make_directories(const Path& path) override {
    if (is_directory(path)) return;
    require(!exists(path), "make_directories", path);
    if (path.has_relative_path()) make_directories(path.parent_path());
    nodes_[path.string()] = nullptr;
  }
  void sync_directory(const Path& directory) override { require(is_directory(directory), "sync_directory", directory); }

 private:
  class MemoryReader final : public storage::Reader {
   public:
    explicit MemoryReader(std::string content) : content_(std::move(content)) {}
    std::uint64_t size() const override { return content_.size(); }
    void read(std::uint64_t offset, std::span<std::byte> out) const override {
      require(offset + out.size() <= content_.size(), "read", "a range");
      if (!out.empty()) std::memcpy(out.data(), content_.data() + offset, out.size());
    }

   private:
    std::string content_;
  };

  class MemoryWriter final : public storage::Writer {
   public:
    explicit MemoryWriter(std::shared_ptr<std::string> content) : content_(std::move(content)) {}
    void write(std::span<const std::byte> data) override {
      written_.append(reinterpret_cast<const char*>(data.data()), data.size());
    }
    void close() override { *content_ = written_; }

   private:
    std::shared_ptr<std::string> content_;
    std::string written_;
  };

  static void require(bool good, const std::string& action, const Path& path) {
    if (!good) throw Error(ErrorCode::io, "cannot " + action + " " + path.string() + ". Correct the code.");
  }
  bool is_directory(const Path& path) const {
    const auto found = nodes_.find(path.string());
    return found != nodes_.end() && found->second == nullptr;
  }
  const std::shared_ptr<std::string>& file(const Path& path) const {
    const auto found = nodes_.find(path.string());
    require(found != nodes_.end() && found->second != nullptr, "open_read", path);
    return found->second;
  }

  std::map<std::string, std::shared_ptr<std::string>> nodes_;  ///< null: a directory
};

}  // namespace plsc::checkpoint
