#pragma once
// Files of this machine (POSIX).

#include "plsc/storage/storage.h"

namespace plsc::storage {

class LocalStorage final : public Storage {
 public:
  std::unique_ptr<Reader> open_read(const Path& path) override;
  std::unique_ptr<Writer> open_write(const Path& path, std::uint64_t expected_bytes) override;
  std::vector<Entry> list(const Path& directory) override;
  bool exists(const Path& path) override;
  void rename(const Path& from, const Path& to) override;
  void remove_all(const Path& path) override;
  void make_directories(const Path& path) override;
  void sync_directory(const Path& directory) override;
};

}  // namespace plsc::storage
