#pragma once
// Log lines of a run: rank 0 speaks at info level, other ranks only from warning on, each with its rank as prefix.
// Lines go to stderr; results that scripts read go to stdout by their commands.

#include <string>

namespace plsc::log {

enum class Level { debug, info, warning, error };

/// Called once by main after the rank is known; before that lines carry no rank.
void configure(int rank, int world_size, Level level);

void debug(const std::string& line);
void info(const std::string& line);
void warning(const std::string& line);
void error(const std::string& line);

}  // namespace plsc::log
