#pragma once
// Which characters become classes, which are held out, and the verification pairs: pure functions of their arguments.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/render_survey.h"

namespace plsc::data {

/// Indices into survey.characters of those that at least min_faces of the first `training_faces` faces draw, each with
/// an outline of its own; the best covered (by all faces) first, then by code point.
std::vector<std::size_t> rank_characters(const Survey& survey, std::size_t training_faces, int min_faces);

/// `count` of `characters`, chosen by a hash of (seed, code point); sorted.
std::vector<char32_t> choose_held_out(std::span<const char32_t> characters, std::int64_t count, std::uint64_t seed);

/// How much two drawings differ: sum |a - b| / the larger amount of ink. 0: equal; about 2: nothing in common.
double drawing_difference(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

struct ImagePair {
  std::string first;
  std::string second;
  bool same = false;
};

inline constexpr int kFolds = 10;

/// Ten folds of count / 10 pairs, each first half same, then half different; a fold has classes of its own, and no pair
/// comes twice. images: paths per class. Throws Error{usage|data} when count is no multiple of 20 or there are too few
/// classes or images.
std::vector<ImagePair> make_pairs(const std::vector<std::vector<std::string>>& images, std::int64_t count,
                                  std::uint64_t seed);

}  // namespace plsc::data
