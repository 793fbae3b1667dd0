#pragma once
// Reading, checking and printing the configuration. Every error is Error{config} and names the file and line, or the
// --set override, and the full dotted key; a file that cannot be read is Error{io}.
//
// Files are YAML 1.2, read strictly: unknown and repeated keys, wrong types and values out of bounds are errors.
//   base: other.yaml              one file or a list, relative to this file; merged key by key, later files win
//   root: ${DATA:-/data}/faces    environment variables in values; without a default they must be set; $${ is a plain
//   ${
// Whole numbers may be written as 1e6, sizes as 256MiB. Precedence: defaults < bases < file < overrides.

#include <string>
#include <vector>

#include "plsc/config/config.h"

namespace plsc::config {

/// Reads `path` (empty: the defaults), then the overrides, each "section.key=value" with a YAML value. Checks every
/// key by itself; call validate() before training.
Config load_config(const std::string& path, const std::vector<std::string>& overrides = {});

/// The same from text in memory, such as the configuration inside a checkpoint. `name` stands for the file in errors,
/// and `base:` is relative to its folder.
Config parse_config(const std::string& text, const std::string& name, const std::vector<std::string>& overrides = {});

/// The whole configuration, every key with its value and a comment. parse_config(to_yaml(c), "") gives c again.
std::string to_yaml(const Config& config);

/// Throws Error{config} when a value is out of bounds or when keys contradict each other for a training run.
void validate(const Config& config);

}  // namespace plsc::config
