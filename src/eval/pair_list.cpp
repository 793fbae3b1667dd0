#include <fmt/format.h>

#include <filesystem>
#include <sstream>
#include <utility>

#include "eval/check_set.h"
#include "eval/pickle_reader.h"
#include "eval/read_file.h"
#include "plsc/core/error.h"
#include "plsc/eval/verification_set.h"

namespace plsc::eval {

namespace {

/// Fields at tabs, so that paths may hold spaces; without any tab at spaces.
std::vector<std::string> fields_of(const std::string& line) {
  const char separator = line.find('\t') != std::string::npos ? '\t' : ' ';
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, separator);) {
    if (!field.empty()) fields.push_back(std::move(field));
  }
  return fields;
}

void add_pair(const std::string& line, const std::string& place, const std::filesystem::path& root,
              VerificationSet& set) {
  const std::vector<std::string> fields = fields_of(line);
  if (fields.size() != 3) {
    throw Error(ErrorCode::data, fmt::format("{}: {} fields (expected 3: path, path and 0 or 1). Separate them with "
                                             "tabs when paths hold spaces.",
                                             place, fields.size()));
  }
  if (fields[2] != "0" && fields[2] != "1") {
    throw Error(ErrorCode::data, fmt::format("{}: the last field is \"{}\" (expected 1 for the same person, 0 for "
                                             "different ones). Correct the line.",
                                             place, fields[2]));
  }
  for (int side = 0; side < 2; ++side) {
    const std::string& file = fields[static_cast<std::size_t>(side)];
    set.images.push_back(with_context([&] { return place; }, [&] { return read_file((root / file).string()); }));
    set.origins.push_back(fmt::format("{}: {}", place, file));
  }
  set.same.push_back(fields[2] == "1" ? 1 : 0);
}

}  // namespace

VerificationSet read_pair_list(const std::string& path, const std::string& root) {
  const std::vector<std::byte> bytes = read_file(path);
  std::istringstream lines{std::string(as_text(bytes))};
  const std::filesystem::path base =
      root.empty() ? std::filesystem::path(path).parent_path() : std::filesystem::path(root);
  VerificationSet set;
  set.name = std::filesystem::path(path).stem().string();
  set.path = path;
  std::int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    add_pair(line, fmt::format("{}, line {}", path, number), base, set);
  }
  check_flags(set.same, path);
  return set;
}

}  // namespace plsc::eval
