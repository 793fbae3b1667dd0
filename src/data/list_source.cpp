#include "data/list_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "data/source_checks.h"
#include "plsc/core/error.h"

namespace plsc::data {

namespace {

struct ListLine {
  std::string_view path;
  std::int64_t label = 0;
};

Error bad_line(std::string_view problem, std::string_view what_to_do) {
  return Error(ErrorCode::data,
               fmt::format("{}. {}, or set data.on_error=skip to leave such lines out.", problem, what_to_do));
}

/// Long fields would bury the message.
std::string_view shortened(std::string_view text) { return text.substr(0, 80); }

std::int64_t parse_label(std::string_view text, std::int64_t num_classes) {
  constexpr std::string_view kForm = "Write 'path<TAB>label' with class ids 0, 1, 2, ...";
  std::int64_t label = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), label);
  const bool number = end == text.data() + text.size() && status != std::errc::invalid_argument;
  if (!number) throw bad_line(fmt::format("The label is not a whole number (it is '{}')", shortened(text)), kForm);
  if (text.front() == '-') throw bad_line(fmt::format("The label is negative (it is {})", shortened(text)), kForm);
  if (status == std::errc::result_out_of_range || label > SampleIndex::kMaxLabel) {
    throw bad_line(
        fmt::format("The label is too large (it is {}, the limit is {})", shortened(text), SampleIndex::kMaxLabel),
        "Number the classes 0, 1, 2, ...");
  }
  if (num_classes > 0 && label >= num_classes) {
    throw bad_line(fmt::format("The label is outside the {} classes (it is {}, the largest allowed is {})", num_classes,
                               label, num_classes - 1),
                   "Correct the line or the number of classes (data.num_classes)");
  }
  return label;
}

/// Nothing for a blank line; throws Error{data} for a bad one.
std::optional<ListLine> parse_line(std::string_view line, std::int64_t num_classes) {
  if (line.find('\0') != std::string_view::npos) {
    throw bad_line("The line holds a zero byte (this is no text file, or it is UTF-16)",
                   "Give a text file with lines 'path<TAB>label'");
  }
  line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
  if (line.empty()) return std::nullopt;
  std::size_t separator = line.rfind('\t');
  if (separator == std::string_view::npos) separator = line.rfind(' ');
  if (separator == std::string_view::npos) {
    throw bad_line(fmt::format("The line has no label (it is '{}')", shortened(line)), "Write 'path<TAB>label'");
  }
  const std::string_view before = line.substr(0, separator);
  const std::string_view path = before.substr(0, before.find_last_not_of(" \t") + 1);
  if (path.empty()) {
    throw bad_line(fmt::format("The line has no path (it is '{}')", shortened(line)), "Write 'path<TAB>label'");
  }
  if (path.find('\t') != std::string_view::npos) {
    throw bad_line(fmt::format("The line has more than two fields (it is '{}')", shortened(line)),
                   "Write 'path<TAB>label'");
  }
  return ListLine{path, parse_label(line.substr(separator + 1), num_classes)};
}

std::ifstream open_text(const std::string& list) {
  std::error_code status;
  if (std::filesystem::is_directory(list, status)) {
    throw Error(ErrorCode::io,
                fmt::format("Cannot read the list {} (it is a folder). Give a text file, or name a folder "
                            "of class folders by data.folder.",
                            list));
  }
  errno = 0;
  std::ifstream in(list, std::ios::binary);
  if (!in) {
    throw Error(ErrorCode::io,
                fmt::format("Cannot open the list {} ({}). Check the path.", list, std::strerror(errno)));
  }
  return in;
}

/// The folder of the paths. Looks at the list first: a missing list is the clearer message.
std::string checked_root(const ListOptions& options) {
  open_text(options.list);
  return options.root.empty() ? std::filesystem::path(options.list).parent_path().string() : options.root;
}

}  // namespace

ListSource::ListSource(const ListOptions& options) : list_(options.list), files_(checked_root(options)) {
  read_list(options);
  num_classes_ = options.num_classes > 0 ? options.num_classes : count_classes(samples_);
  if (options.check_class_ids) check_class_ids(samples_, num_classes_, options.num_classes > 0, list_);
}

void ListSource::read_list(const ListOptions& options) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::ifstream in = open_text(options.list);
  std::error_code status;
  const auto bytes = std::filesystem::file_size(options.list, status);
  if (!status) samples_.reserve(bytes);

  SkipReport skipped;
  std::string line;
  for (std::uint64_t number = 1; std::getline(in, line); ++number) {
    const std::string_view text(line);
    const auto where = [&] { return fmt::format("{}, line {}", list_, number); };
    try {
      const auto parsed = with_context(where, [&] {
        const bool marked = number == 1 && text.starts_with(kByteOrderMark);
        return parse_line(marked ? text.substr(kByteOrderMark.size()) : text, options.num_classes);
      });
      if (parsed) {
        samples_.add(parsed->path, parsed->label);
      } else {
        leave_out_line();
      }
    } catch (const Error& error) {
      if (options.on_error == config::OnError::fail) throw;
      skipped.add(fmt::format("{}: {}", where(), error.message()));
      leave_out_line();
    }
  }
  if (in.bad())
    throw Error(ErrorCode::io, fmt::format("Reading the list {} failed (device error?). Try again.", list_));
  skipped.warn("lines", list_);
  if (samples_.size() == 0) {
    throw Error(
        ErrorCode::data,
        skipped.count() == 0
            ? fmt::format("The list {} has no samples (the file is empty). Write lines 'path<TAB>label'.", list_)
            : fmt::format("The list {} has no samples (all its {} lines are bad). Write lines "
                          "'path<TAB>label'.",
                          list_, skipped.count()));
  }
}

void ListSource::leave_out_line() {
  const std::uint64_t before = gaps_.empty() ? 0 : gaps_.back().left_out;
  if (!gaps_.empty() && gaps_.back().first == samples_.size()) {
    ++gaps_.back().left_out;
  } else {
    gaps_.push_back({samples_.size(), before + 1});
  }
}

std::uint64_t ListSource::line_of(std::uint64_t index) const {
  const auto next = std::upper_bound(gaps_.begin(), gaps_.end(), index,
                                     [](std::uint64_t wanted, const Gap& gap) { return wanted < gap.first; });
  return index + 1 + (next == gaps_.begin() ? 0 : std::prev(next)->left_out);
}

std::string ListSource::describe(std::uint64_t index) const {
  return fmt::format("{}, line {}: {}", list_, line_of(index), samples_.path(index));
}

}  // namespace plsc::data
