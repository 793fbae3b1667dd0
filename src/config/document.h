#pragma once
// From YAML text to one merged tree of values: syntax, duplicate keys, base files, overrides.

#include <string>

#include "config/value.h"

namespace plsc::config {

/// The file with its bases merged below it; a map or null. Throws Error{io} when a file cannot be read.
Value load_document(const std::string& path);

/// The same for text; `name` stands for the file.
Value parse_document(const std::string& text, const std::string& name);

/// Merges one "a.b=value" into `document`.
void apply_override(Value& document, const std::string& override_text);

}  // namespace plsc::config
