#pragma once
// The nearest valid key for a misspelt one.

#include <string>
#include <string_view>

#include "config/schema.h"

namespace plsc::config {

/// Insertions, deletions, substitutions and swaps of neighbours between two words (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// A sentence that helps: "Did you mean optim.lr?", or the keys of the section when nothing is near.
std::string suggestion(const Schema& schema, const std::string& unknown_key);

}  // namespace plsc::config
