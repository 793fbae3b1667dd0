#include "plsc/config/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/document.h"
#include "config/scalar.h"
#include "config/schema.h"
#include "config/suggest.h"

namespace plsc::config {

namespace {

/// Writes the value of one key into its target.
class Assigner {
 public:
  Assigner(const Field& field, const Value& value) : field_(field), value_(expand(field.key, value)) {}

  void operator()(bool* target) const {
    const std::string& text = scalar("true or false");
    if (value_.quoted || (text != "true" && text != "false")) {
      wrong_type("true or false", is_other_boolean(text) ? "; only these two spellings are booleans" : "");
    }
    *target = text == "true";
  }
  void operator()(int* target) const { *target = static_cast<int>(whole(parse_whole, "a whole number")); }
  void operator()(std::int64_t* target) const { *target = whole(parse_whole, "a whole number"); }
  void operator()(Bytes target) const { *target.value = whole(parse_bytes, "a size such as 1048576 or 256MiB"); }
  void operator()(std::uint64_t* target) const {
    const std::optional<WholeNumber> number = parse_whole(scalar("a whole number"));
    if (value_.quoted || !number) wrong_type("a whole number");
    if (!number->as_uint64()) out_of_bounds(value_, "from 0 to 18446744073709551615");
    *target = *number->as_uint64();
  }
  void operator()(float* target) const { *target = real<float>(value_); }
  void operator()(double* target) const { *target = real<double>(value_); }
  void operator()(std::string* target) const { *target = scalar("a text"); }
  void operator()(const Choice& choice) const {
    const std::string expected = fmt::format("one of {}", fmt::join(choice.names, ", "));
    const std::string& text = scalar(expected);
    const auto found = std::find(choice.names.begin(), choice.names.end(), text);
    if (found == choice.names.end()) wrong_type(expected);
    choice.set(static_cast<std::size_t>(found - choice.names.begin()));
  }
  void operator()(std::vector<double>* target) const {
    std::vector<double> numbers;
    for (const Value& item : list("a list of numbers")) {
      numbers.push_back(real<double>(expand(field_.key, item)));
    }
    *target = std::move(numbers);
  }
  void operator()(std::vector<std::string>* target) const {
    std::vector<std::string> texts;
    for (const Value& item : list("a list of texts")) {
      if (item.kind != Value::Kind::scalar) wrong_type(item, "a text as list element", "");
      texts.push_back(expand(field_.key, item).text);
    }
    *target = std::move(texts);
  }

 private:
  static Value expand(const std::string& key, const Value& value) {
    return value.kind == Value::Kind::scalar ? expand_environment(value, key) : value;
  }

  static bool is_other_boolean(const std::string& text) {
    std::string lower = text;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    constexpr std::array<std::string_view, 8> kOther{"yes", "no", "on", "off", "y", "n", "true", "false"};
    return std::find(kOther.begin(), kOther.end(), lower) != kOther.end();
  }

  [[noreturn]] void wrong_type(const Value& value, const std::string& expected, const std::string& reason) const {
    fail(value.place, fmt::format("{}: expected {} (found {}{}). Change it; the default is {}.", field_.key, expected,
                                  description(value), reason, default_text()));
  }
  [[noreturn]] void wrong_type(const std::string& expected, const std::string& reason = "") const {
    wrong_type(value_, expected, reason);
  }
  [[noreturn]] void out_of_bounds(const Value& value, const std::string& allowed) const {
    fail(value.place, fmt::format("{}: {} is out of bounds (allowed: {}). Change it; the default is {}.", field_.key,
                                  value.text, allowed, default_text()));
  }

  std::string default_text() const {
    Config defaults;
    return print_value(*make_schema(defaults).find_field(field_.key));
  }

  const std::string& scalar(const std::string& expected) const {
    if (value_.kind != Value::Kind::scalar) wrong_type(expected);
    return value_.text;
  }

  const std::vector<Value>& list(const std::string& expected) const {
    if (value_.kind != Value::Kind::list) wrong_type(expected + " in [ ]");
    return value_.items;
  }

  template <class T>
  T real(const Value& value) const {
    const std::optional<T> number = value.kind == Value::Kind::scalar ? parse_real<T>(value.text) : std::nullopt;
    if (!number || value.quoted) wrong_type(value, "a number", "");
    if (!field_.bounds.contains(static_cast<double>(*number))) out_of_bounds(value, field_.bounds.text());
    return *number;
  }

  std::int64_t whole(std::optional<WholeNumber> (*parse)(std::string_view), const std::string& expected) const {
    const std::optional<WholeNumber> number = parse(scalar(expected));
    if (!number || value_.quoted) wrong_type(expected);
    const std::optional<std::int64_t> fitted = number->as_int64();
    if (!fitted || !field_.bounds.contains(static_cast<double>(*fitted))) {
      out_of_bounds(value_, field_.bounds.text());
    }
    return *fitted;
  }

  const Field& field_;
  Value value_;
};

void read_section(const Schema& schema, const std::string& prefix, const Value& section) {
  for (std::size_t i = 0; i < section.keys.size(); ++i) {
    const std::string& name = section.keys[i];
    const std::string key = prefix.empty() ? name : prefix + "." + name;
    const Value& value = section.items[i];
    if (name.find('.') != std::string::npos) {
      fail(value.place, fmt::format("{}: a dotted key in a file (dots are for --set only). Nest it: {}: and below it, "
                                    "indented, the rest.",
                                    key, key.substr(0, key.find('.', prefix.empty() ? 0 : prefix.size() + 1))));
    }
    if (const Field* field = schema.find_field(key); field != nullptr) {
      std::visit(Assigner(*field, value), field->target);
    } else if (!schema.has_section(key)) {
      fail(value.place,
           fmt::format("{}: unknown key ({} has no such key). {}", key,
                       prefix.empty() ? "the configuration" : "section " + prefix, suggestion(schema, key)));
    } else if (value.kind == Value::Kind::map) {
      read_section(schema, key, value);
    } else if (value.kind != Value::Kind::null) {
      fail(value.place, fmt::format("{}: expected a section with keys (found {}). Put the value below one of its keys.",
                                    key, description(value)));
    }
  }
}

Config read_config(const Value& document) {
  Config config;
  read_section(make_schema(config), "", document);
  return config;
}

}  // namespace

Config load_config(const std::string& path, const std::vector<std::string>& overrides) {
  Value document = path.empty() ? Value{} : load_document(path);
  for (const std::string& text : overrides) apply_override(document, text);
  return read_config(document);
}

Config parse_config(const std::string& text, const std::string& name, const std::vector<std::string>& overrides) {
  Value document = parse_document(text, name);
  for (const std::string& override_text : overrides) apply_override(document, override_text);
  return read_config(document);
}

std::string to_yaml(const Config& config) {
  constexpr std::size_t kCommentColumn = 40;
  Config copy = config;
  const Schema schema = make_schema(copy);
  std::string text;
  const auto add_line = [&](const std::string& key, const std::string& value, const std::string& doc) {
    const auto depth = static_cast<std::size_t>(std::count(key.begin(), key.end(), '.'));
    std::string line = std::string(2 * depth, ' ') + key.substr(key.rfind('.') + 1) + ":";
    if (!value.empty()) line += " " + value;
    line.resize(std::max(line.size() + 1, kCommentColumn), ' ');
    text += line + "# " + doc + "\n";
  };
  for (const Section& section : schema.sections) {
    add_line(section.key, "", section.doc);
    for (const Field& field : schema.fields) {
      const bool inside = field.key.rfind('.') == section.key.size() && field.key.starts_with(section.key);
      const auto* choice = std::get_if<Choice>(&field.target);
      const std::string spellings = choice == nullptr ? "" : fmt::format("{}; ", fmt::join(choice->names, " | "));
      if (inside) add_line(field.key, print_value(field), spellings + field.doc);
    }
  }
  return text;
}

}  // namespace plsc::config
