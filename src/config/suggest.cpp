#include "config/suggest.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace plsc::config {

namespace {

std::string_view parent_of(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : key.substr(0, dot);
}

std::string_view leaf_of(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? key : key.substr(dot + 1);
}

std::vector<std::string> all_keys(const Schema& schema) {
  std::vector<std::string> keys;
  for (const Section& section : schema.sections) keys.push_back(section.key);
  for (const Field& field : schema.fields) keys.push_back(field.key);
  return keys;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last, last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    last = row;
  }
  return last[b.size()];
}

std::string suggestion(const Schema& schema, const std::string& unknown_key) {
  const std::string_view leaf = leaf_of(unknown_key);
  const std::string_view parent = parent_of(unknown_key);
  const std::size_t limit = std::max<std::size_t>(2, leaf.size() / 2);
  std::string best;
  std::size_t best_cost = limit + 1;
  std::vector<std::string> siblings;
  for (const std::string& key : all_keys(schema)) {
    const bool sibling = parent_of(key) == parent;
    if (sibling) siblings.push_back(std::string(leaf_of(key)));
    std::size_t distance = edit_distance(leaf, leaf_of(key));
    const bool beginning = !leaf.empty() && leaf_of(key).starts_with(leaf);
    if (beginning) distance = std::min<std::size_t>(distance, 2);  // warmup is meant for warmup_epochs
    const std::size_t cost = distance + (sibling ? 0 : 1);
    if (cost < best_cost && (beginning || distance < leaf.size())) {
      best = key;
      best_cost = cost;
    }
  }
  if (!best.empty()) return fmt::format("Did you mean {}?", best);
  return fmt::format("The keys here are {}.", fmt::join(siblings, ", "));
}

}  // namespace plsc::config
