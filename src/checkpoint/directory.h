#pragma once
// Directories of checkpoints: their names, and the steps by which one appears, is replaced and goes.
//   step_00001000       a checkpoint, if it holds a manifest
//   step_00001000.tmp   being written or being removed; never read
//   step_00001000.old   the one that step_00001000 is about to replace; counts only while step_00001000 is not there

#include <cstdint>
#include <filesystem>

#include "plsc/storage/storage.h"

namespace plsc::checkpoint {

std::filesystem::path step_directory(const std::filesystem::path& root, std::int64_t step);
std::filesystem::path temporary_of(const std::filesystem::path& directory);

bool is_complete(storage::Storage& storage, const std::filesystem::path& directory);

/// An empty temporary directory for `directory`; what a crashed save left is put right first.
void begin_directory(storage::Storage& storage, const std::filesystem::path& directory);
/// The temporary directory, complete and synced, takes its name; a complete one of that name is replaced.
void commit_directory(storage::Storage& storage, const std::filesystem::path& directory);
/// Removes a checkpoint such that a crash half way leaves none that looks complete.
void discard_directory(storage::Storage& storage, const std::filesystem::path& directory);

}  // namespace plsc::checkpoint
