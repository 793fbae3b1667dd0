#include "checkpoint/directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>

#include "checkpoint/manifest.h"
#include "plsc/checkpoint/checkpoint.h"
#include "plsc/core/error.h"

namespace plsc::checkpoint {

namespace {

constexpr std::string_view kPrefix = "step_";
constexpr std::string_view kTemporary = ".tmp";
constexpr std::string_view kReplaced = ".old";

std::filesystem::path with_suffix(const std::filesystem::path& directory, std::string_view suffix) {
  return directory.parent_path() / (directory.filename().string() + std::string(suffix));
}

/// Step of a name "step_<digits><suffix>".
std::optional<std::int64_t> parse_name(std::string_view name, std::string_view suffix) {
  if (name.size() <= kPrefix.size() + suffix.size() || !name.starts_with(kPrefix) || !name.ends_with(suffix)) {
    return std::nullopt;
  }
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(suffix.size());
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  if (error != std::errc() || end != name.data() + name.size() || step < 0) return std::nullopt;
  return step;
}

/// Complete checkpoints under root by step.
std::map<std::int64_t, std::filesystem::path> complete_checkpoints(storage::Storage& storage,
                                                                   const std::filesystem::path& root) {
  std::map<std::int64_t, std::filesystem::path> found;
  for (const std::string_view suffix : {kReplaced, std::string_view()}) {  // the plain name wins
    for (const storage::Entry& entry : storage.list(root)) {
      const std::optional<std::int64_t> step = parse_name(entry.name, suffix);
      if (step && entry.directory && is_complete(storage, root / entry.name)) found[*step] = root / entry.name;
    }
  }
  return found;
}

std::string name_of_directory(const std::filesystem::path& directory) {
  return directory.has_filename() ? directory.filename().string() : directory.parent_path().filename().string();
}

/// After a crash between the two renames of commit_directory the replaced checkpoint gets its name back; where the new
/// one is there, the replaced one goes.
void settle_replaced(storage::Storage& storage, const std::filesystem::path& directory) {
  const std::filesystem::path replaced = with_suffix(directory, kReplaced);
  if (!storage.exists(replaced)) return;
  if (storage.exists(directory)) {
    discard_directory(storage, replaced);
  } else {
    storage.rename(replaced, directory);
  }
}

}  // namespace

std::filesystem::path step_directory(const std::filesystem::path& root, std::int64_t step) {
  return root / fmt::format("{}{:08}", kPrefix, step);
}

std::filesystem::path temporary_of(const std::filesystem::path& directory) {
  return with_suffix(directory, kTemporary);
}

bool is_complete(storage::Storage& storage, const std::filesystem::path& directory) {
  return storage.exists(directory / kManifestName);
}

void begin_directory(storage::Storage& storage, const std::filesystem::path& directory) {
  storage.make_directories(directory.parent_path());
  settle_replaced(storage, directory);
  if (storage.exists(directory) && !is_complete(storage, directory)) {
    throw Error(ErrorCode::io, fmt::format("{} is in the way of a checkpoint (it holds no {}, so it is none itself). "
                                           "Move it away, or choose another train.output.",
                                           directory.string(), kManifestName));
  }
  storage.remove_all(temporary_of(directory));
  storage.make_directories(temporary_of(directory));
}

void commit_directory(storage::Storage& storage, const std::filesystem::path& directory) {
  const std::filesystem::path temporary = temporary_of(directory);
  const std::filesystem::path replaced = with_suffix(directory, kReplaced);
  storage.sync_directory(temporary);
  const bool replaces = storage.exists(directory);
  if (replaces) storage.rename(directory, replaced);
  try {
    storage.rename(temporary, directory);
  } catch (const Error&) {
    if (replaces) storage.rename(replaced, directory);
    throw;
  }
  storage.sync_directory(directory.parent_path());
  if (!replaces) return;
  try {
    discard_directory(storage, replaced);
  } catch (const Error&) {
    // The checkpoint is complete and durable; prune or the next save removes what is left of the old one.
  }
}

void discard_directory(storage::Storage& storage, const std::filesystem::path& directory) {
  std::string name = directory.filename().string();
  if (name.ends_with(kReplaced)) name.resize(name.size() - kReplaced.size());
  const std::filesystem::path temporary = temporary_of(directory.parent_path() / name);
  storage.remove_all(temporary);
  storage.rename(directory, temporary);
  storage.remove_all(temporary);
}

std::optional<std::filesystem::path> find_latest(const storage::Location& root) {
  storage::Storage& storage = *root.storage;
  if (!storage.exists(root.path)) return std::nullopt;
  if (is_complete(storage, root.path)) return root.path;
  const auto found = complete_checkpoints(storage, root.path);
  if (found.empty()) return std::nullopt;
  return found.rbegin()->second;
}

void prune(const storage::Location& root, int keep, const std::optional<std::filesystem::path>& protect) {
  storage::Storage& storage = *root.storage;
  if (!storage.exists(root.path)) return;
  for (const storage::Entry& entry : storage.list(root.path)) {
    if (const auto step = parse_name(entry.name, kReplaced)) settle_replaced(storage, step_directory(root.path, *step));
    if (parse_name(entry.name, kTemporary)) storage.remove_all(root.path / entry.name);
  }
  auto complete = complete_checkpoints(storage, root.path);
  if (keep <= 0) return;
  for (int kept = 0; kept < keep && !complete.empty(); ++kept) complete.erase(std::prev(complete.end()));
  const std::string protected_name = protect ? name_of_directory(*protect) : std::string();
  for (const auto& [step, directory] : complete) {
    if (directory.filename() != protected_name) discard_directory(storage, directory);
  }
}

}  // namespace plsc::checkpoint
