#include "data/source_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "plsc/core/error.h"
#include "plsc/core/log.h"

namespace plsc::data {

void SkipReport::add(std::string description) {
  constexpr std::size_t kNamed = 3;
  ++count_;
  if (first_.size() < kNamed) first_.push_back(std::move(description));
}

void SkipReport::warn(const std::string& things, const std::string& where) const {
  if (count_ == 0) return;
  std::string text = fmt::format("left out {} {} of {} (data.on_error=skip):", count_, things, where);
  for (const std::string& line : first_) text += "\n  " + line;
  if (count_ > first_.size()) text += fmt::format("\n  and {} more", count_ - first_.size());
  log::warning(text);
}

std::int64_t count_classes(const SampleIndex& samples) {
  std::int64_t largest = -1;
  for (std::uint64_t i = 0; i < samples.size(); ++i) largest = std::max(largest, samples.label(i));
  return largest + 1;
}

void check_class_ids(const SampleIndex& samples, std::int64_t num_classes, bool stated, const std::string& where) {
  std::vector<bool> seen(static_cast<std::size_t>(num_classes));
  for (std::uint64_t i = 0; i < samples.size(); ++i) seen[static_cast<std::size_t>(samples.label(i))] = true;
  const auto missing = static_cast<std::int64_t>(std::count(seen.begin(), seen.end(), false));
  if (missing == 0) return;

  std::vector<std::size_t> first;
  for (std::size_t id = 0; id < seen.size() && first.size() < 5; ++id) {
    if (!seen[id]) first.push_back(id);
  }
  const std::string problem = fmt::format("{} of the {} class ids of {} have no image (first: {})", missing,
                                          num_classes, where, fmt::join(first, ", "));
  if (!stated && missing > num_classes / 2) {
    throw Error(ErrorCode::data, problem + ". Number the classes 0, 1, 2, ..., or set data.num_classes to accept it.");
  }
  log::warning(problem + ": their rows are trained as negatives only.");
}

}  // namespace plsc::data
