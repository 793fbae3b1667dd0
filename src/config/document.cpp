#include "config/document.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/scalar.h"
#include "plsc/core/error.h"

namespace plsc::config {

namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 32;
constexpr int kMaxValues = 100000;  // aliases can make a small file describe an endless tree
constexpr char kBaseKey[] = "base";

/// Turns the nodes of one file into values.
class Converter {
 public:
  /// `line` > 0: the line of every value is found in the nodes; 0: everything comes from --set `file`.
  Converter(std::string file, bool from_file, std::string key)
      : file_(std::move(file)), from_file_(from_file), root_key_(std::move(key)) {}

  Value convert(const YAML::Node& node) { return convert(node, place_of(node), root_key_, 0); }

 private:
  Place place_of(const YAML::Node& node) const { return {file_, from_file_ ? node.Mark().line + 1 : 0}; }

  Value convert(const YAML::Node& node, const Place& place, const std::string& key, int depth) {
    if (depth > kMaxDepth || ++count_ > kMaxValues) {
      fail(place, fmt::format("{}: the document is too deep or too large (limits: {} levels, {} values). Check its "
                              "anchors and aliases.",
                              name_of(key), kMaxDepth, kMaxValues));
    }
    if (const std::string& tag = node.Tag(); !tag.empty() && tag != "?" && tag != "!") {
      fail(place, fmt::format("{}: YAML tag {} (the configuration has no tags). Remove it.", name_of(key), tag));
    }
    Value value;
    value.place = place;
    if (node.IsScalar()) {
      value.kind = Value::Kind::scalar;
      value.text = node.Scalar();
      value.quoted = node.Tag() == "!";
    } else if (node.IsSequence()) {
      value.kind = Value::Kind::list;
      for (const YAML::Node& item : node) value.items.push_back(convert(item, place_of(item), key, depth + 1));
    } else if (node.IsMap()) {
      value.kind = Value::Kind::map;
      for (const auto& entry : node) add_entry(value, entry.first, entry.second, key, depth);
    }
    return value;
  }

  void add_entry(Value& map, const YAML::Node& name, const YAML::Node& value, const std::string& prefix, int depth) {
    const Place place = place_of(name);
    if (!name.IsScalar()) {
      fail(place, fmt::format("{}: a key that is no word (keys are names such as optim or lr). Correct the line.",
                              name_of(prefix)));
    }
    const std::string key = prefix.empty() ? name.Scalar() : prefix + "." + name.Scalar();
    const auto found = std::find(map.keys.begin(), map.keys.end(), name.Scalar());
    if (found != map.keys.end()) {
      const Place& first = map.items[static_cast<std::size_t>(found - map.keys.begin())].place;
      fail(place, fmt::format("{}: duplicate key (first given {}). Remove one of them.", key,
                              from_file_ ? fmt::format("in line {}", first.line) : "in the same value"));
    }
    map.keys.push_back(name.Scalar());
    map.items.push_back(convert(value, place, key, depth + 1));
  }

  static std::string name_of(const std::string& key) { return key.empty() ? "document" : key; }

  std::string file_;
  bool from_file_;
  std::string root_key_;
  int count_ = 0;
};

/// Lays `upper` over `lower`, map by map; lists and scalars are replaced as a whole.
void merge(Value& lower, Value upper) {
  if (lower.kind == Value::Kind::map && upper.kind == Value::Kind::null) return;  // an empty section changes nothing
  if (lower.kind != Value::Kind::map || upper.kind != Value::Kind::map) {
    lower = std::move(upper);
    return;
  }
  for (std::size_t i = 0; i < upper.keys.size(); ++i) {
    const auto found = std::find(lower.keys.begin(), lower.keys.end(), upper.keys[i]);
    if (found == lower.keys.end()) {
      lower.keys.push_back(std::move(upper.keys[i]));
      lower.items.push_back(std::move(upper.items[i]));
    } else {
      merge(lower.items[static_cast<std::size_t>(found - lower.keys.begin())], std::move(upper.items[i]));
    }
  }
}

std::string read_file(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    throw Error(ErrorCode::io,
                fmt::format("Configuration {} cannot be read (it is a directory). Give a YAML file.", path));
  }
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) {
    const bool exists = fs::exists(path, ignored);
    throw Error(ErrorCode::io, fmt::format("Configuration {} cannot be read ({}). Check the path given.", path,
                                           exists ? "no permission or an I/O error" : "no such file"));
  }
  return text.str();
}

Value parse_yaml(const std::string& text, const std::string& file) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.empty()) return {};
    if (documents.size() > 1) {
      fail({file, documents[1].Mark().line + 1},
           "document: a second YAML document (a configuration is one document). Remove the line with ---.");
    }
    Value root = Converter(file, true, "").convert(documents[0]);
    if (root.kind != Value::Kind::map && root.kind != Value::Kind::null) {
      fail(root.place, fmt::format("document: expected sections with keys (found {}). Write lines such as "
                                   "\"optim:\" and below it, indented, \"lr: 0.1\".",
                                   description(root)));
    }
    return root;
  } catch (const YAML::Exception& error) {
    Error converted(ErrorCode::config, fmt::format("Not valid YAML ({}). Correct the file.", error.msg));
    converted.add_context(error.mark.is_null() ? fmt::format("file {}", file)
                                               : fmt::format("file {}, line {}", file, error.mark.line + 1));
    throw converted;
  }
}

/// Takes the key `base` out of `document` and gives the paths it names.
std::vector<std::pair<std::string, Place>> take_bases(Value& document) {
  const auto found = std::find(document.keys.begin(), document.keys.end(), kBaseKey);
  if (found == document.keys.end()) return {};
  const auto index = found - document.keys.begin();
  const Value base = std::move(document.items[static_cast<std::size_t>(index)]);
  document.keys.erase(found);
  document.items.erase(document.items.begin() + index);
  std::vector<std::pair<std::string, Place>> paths;
  const auto take = [&](const Value& value) {
    if (value.kind != Value::Kind::scalar || value.text.empty()) {
      fail(value.place, fmt::format("base: expected a file or a list of files (found {}). Write base: other.yaml.",
                                    description(value)));
    }
    paths.emplace_back(expand_environment(value, kBaseKey).text, value.place);
  };
  if (base.kind == Value::Kind::list) {
    std::for_each(base.items.begin(), base.items.end(), take);
  } else {
    take(base);
  }
  return paths;
}

/// `chain` holds the files that are being read, outermost first.
Value resolve(const std::string& text, const std::string& file, std::vector<std::string>& chain) {
  Value document = parse_yaml(text, file);
  const auto bases = take_bases(document);
  if (bases.empty()) return document;
  Value merged;
  for (const auto& [path, place] : bases) {
    const std::string base = (fs::path(file).parent_path() / path).lexically_normal().string();
    const std::string identity = fs::weakly_canonical(base).string();
    if (std::find(chain.begin(), chain.end(), identity) != chain.end()) {
      fail(place, fmt::format("base: {} includes itself (chain: {} -> {}). Remove one base line.", base,
                              fmt::join(chain, " -> "), identity));
    }
    chain.push_back(identity);
    Value lower = with_context([&] { return fmt::format("base of file {}, line {}", place.file, place.line); },
                               [&] { return resolve(read_file(base), base, chain); });
    chain.pop_back();
    merge(merged, std::move(lower));
  }
  merge(merged, std::move(document));
  return merged;
}

}  // namespace

void fail(const Place& place, const std::string& message) {
  if (place.line == 0) throw Error(ErrorCode::config, "--set " + message);
  throw Error(ErrorCode::config, message).add_context(fmt::format("file {}, line {}", place.file, place.line));
}

std::string description(const Value& value) {
  switch (value.kind) {
    case Value::Kind::null: return "nothing";
    case Value::Kind::scalar: return value.quoted ? fmt::format("the text \"{}\"", value.text) : value.text;
    case Value::Kind::list: return "a list";
    case Value::Kind::map: return "a section with keys";
  }
  return "nothing";
}

Value load_document(const std::string& path) {
  std::vector<std::string> chain{fs::weakly_canonical(path).string()};
  return resolve(read_file(path), path, chain);
}

Value parse_document(const std::string& text, const std::string& name) {
  std::vector<std::string> chain{fs::weakly_canonical(name).string()};
  return resolve(text, name, chain);
}

void apply_override(Value& document, const std::string& override_text) {
  const std::size_t equals = override_text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(
        ErrorCode::usage,
        fmt::format("--set {}: not of the form key=value. Write for example --set optim.lr=0.1.", override_text));
  }
  const std::string key = override_text.substr(0, equals);
  const std::string text = override_text.substr(equals + 1);
  Value value;
  try {
    value = Converter("--set", false, key).convert(YAML::Load(text));
  } catch (const YAML::Exception& error) {
    fail({}, fmt::format("{}: {} is not valid YAML ({}). Check quotes and brackets.", key, text, error.msg));
  }
  if (text.empty()) {  // --set data.list= means the empty text
    value.kind = Value::Kind::scalar;
    value.quoted = true;
  }
  for (std::size_t end = key.size(); end != std::string::npos;) {  // wrap from the innermost name outwards
    const std::size_t dot = end == 0 ? std::string::npos : key.rfind('.', end - 1);
    const std::size_t begin = dot == std::string::npos ? 0 : dot + 1;
    Value outer;
    outer.kind = Value::Kind::map;
    outer.keys.push_back(key.substr(begin, end - begin));
    outer.items.push_back(std::move(value));
    value = std::move(outer);
    end = dot;
  }
  merge(document, std::move(value));
}

}  // namespace plsc::config
