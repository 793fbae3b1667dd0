#include "data/render_select.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

#include "plsc/core/error.h"
#include "plsc/core/random.h"

namespace plsc::data {
namespace {

constexpr std::uint64_t kPairStream = ~std::uint64_t{0};  ///< no code point and no face

struct Coverage {
  int training = 0;
  int all = 0;
};

Coverage coverage_of(const Survey& survey, std::size_t character, std::size_t training_faces,
                     std::vector<std::uint64_t>& hashes) {
  Coverage coverage;
  hashes.clear();
  for (std::size_t face = 0; face < survey.faces.size(); ++face) {
    const std::uint64_t hash = survey.faces[face][character].hash;
    if (hash == 0 || std::find(hashes.begin(), hashes.end(), hash) != hashes.end()) continue;
    hashes.push_back(hash);
    ++coverage.all;
    if (face < training_faces) ++coverage.training;
  }
  return coverage;
}

/// One image of one class.
struct Sample {
  std::size_t group = 0;
  std::size_t image = 0;
  friend auto operator<=>(const Sample&, const Sample&) = default;
};

using Groups = std::span<const std::vector<std::string>>;

/// Number of pairs that can be made of the classes of one fold.
std::pair<std::int64_t, std::int64_t> possible_pairs(Groups groups) {
  std::int64_t images = 0;
  std::int64_t same = 0;
  for (const auto& group : groups) {
    const auto size = static_cast<std::int64_t>(group.size());
    images += size;
    same += size * (size - 1) / 2;
  }
  return {same, images * (images - 1) / 2 - same};
}

std::pair<Sample, Sample> draw_pair(Groups groups, bool same, CounterRng& rng) {
  const auto pick = [&](std::size_t size) { return static_cast<std::size_t>(rng.below(size)); };
  Sample a{pick(groups.size()), 0};
  Sample b{same ? a.group : pick(groups.size()), 0};
  if (groups[a.group].empty() || groups[b.group].empty()) return {a, a};
  a.image = pick(groups[a.group].size());
  b.image = pick(groups[b.group].size());
  return {a, b};
}

void append_pairs(Groups groups, std::int64_t count, bool same, CounterRng& rng, std::vector<ImagePair>& pairs) {
  std::set<std::pair<Sample, Sample>> made;
  while (static_cast<std::int64_t>(made.size()) < count) {
    auto [a, b] = draw_pair(groups, same, rng);
    if (a == b || (a.group == b.group) != same) continue;
    if (b < a) std::swap(a, b);
    if (!made.insert({a, b}).second) continue;
    pairs.push_back({groups[a.group][a.image], groups[b.group][b.image], same});
  }
}

}  // namespace

std::vector<std::size_t> rank_characters(const Survey& survey, std::size_t training_faces, int min_faces) {
  std::vector<std::pair<int, std::size_t>> ranked;  // minus coverage, character
  std::vector<std::uint64_t> hashes;
  for (std::size_t i = 0; i < survey.characters.size(); ++i) {
    const Coverage coverage = coverage_of(survey, i, training_faces, hashes);
    if (coverage.training >= min_faces) ranked.emplace_back(-coverage.all, i);
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::size_t> characters;
  for (const auto& [minus_coverage, character] : ranked) characters.push_back(character);
  return characters;
}

std::vector<char32_t> choose_held_out(std::span<const char32_t> characters, std::int64_t count, std::uint64_t seed) {
  std::vector<std::pair<std::uint64_t, char32_t>> keyed;
  for (const char32_t c : characters) keyed.emplace_back(CounterRng(seed, RandomPurpose::render, c).next_u64(), c);
  std::sort(keyed.begin(), keyed.end());
  std::vector<char32_t> chosen;
  for (const auto& [key, c] : keyed) {
    if (static_cast<std::int64_t>(chosen.size()) < count) chosen.push_back(c);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

double drawing_difference(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  std::int64_t difference = 0;
  std::int64_t ink_a = 0;
  std::int64_t ink_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::abs(int{a[i]} - int{b[i]});
    ink_a += 255 - a[i];
    ink_b += 255 - b[i];
  }
  const std::int64_t ink = std::max<std::int64_t>(std::max(ink_a, ink_b), 1);
  return static_cast<double>(difference) / static_cast<double>(ink);
}

std::vector<ImagePair> make_pairs(const std::vector<std::vector<std::string>>& images, std::int64_t count,
                                  std::uint64_t seed) {
  if (count == 0) return {};
  if (count < 0 || count % (2 * kFolds) != 0) {
    throw Error(ErrorCode::usage,
                fmt::format("{} verification pairs cannot be made (ten folds with as many same as different "
                            "pairs). Ask for a multiple of 20.",
                            count));
  }
  const auto classes = static_cast<std::int64_t>(images.size());
  const std::int64_t per_half = count / (2 * kFolds);
  std::vector<ImagePair> pairs;
  for (std::int64_t fold = 0; fold < kFolds; ++fold) {
    const std::int64_t begin = fold * classes / kFolds;
    const std::int64_t end = (fold + 1) * classes / kFolds;
    const Groups groups =
        Groups(images).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    const auto [same, different] = possible_pairs(groups);
    if (same < 2 * per_half || different < 2 * per_half) {
      throw Error(ErrorCode::usage,
                  fmt::format("{} verification pairs cannot be made (fold {} has {} held-out classes, which "
                              "give {} same and {} different pairs; twice {} are needed to choose from). "
                              "Hold out more classes or ask for fewer pairs.",
                              count, fold, groups.size(), same, different, per_half));
    }
    CounterRng rng(seed, RandomPurpose::render, kPairStream, static_cast<std::uint64_t>(fold));
    append_pairs(groups, per_half, true, rng, pairs);
    append_pairs(groups, per_half, false, rng, pairs);
  }
  return pairs;
}

}  // namespace plsc::data
