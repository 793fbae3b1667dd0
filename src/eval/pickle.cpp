#include "eval/pickle.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <unordered_map>
#include <utility>

#include "eval/pickle_objects.h"
#include "eval/pickle_reader.h"
#include "eval/pickle_text.h"

namespace plsc::eval {

namespace {

// Generous for real files (a million images need about 10 values each as numpy arrays), and a bound on the memory that
// a hostile file can take.
constexpr std::size_t kMostValues = std::size_t{1} << 24;
constexpr std::size_t kMostMemo = std::size_t{1} << 24;
constexpr std::size_t kMostMarks = 64;
constexpr int kNewestProtocol = 5;

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& file)
      : reader_(bytes, file), objects_(document_, reader_) {
    document_.values = {PickleNone{}, false, true};
  }

  PickleDocument run() {
    for (std::uint8_t opcode = reader_.next_opcode(); opcode != '.'; opcode = reader_.next_opcode()) {
      const bool known = step_string(opcode) || step_number(opcode) || step_container(opcode) || step_memo(opcode) ||
                         step_object(opcode);
      if (!known) reader_.fail_opcode();
    }
    document_.root = pop();
    return std::move(document_);
  }

 private:
  static constexpr PickleRef kNone = 0;
  static constexpr PickleRef kFalse = 1;
  static constexpr PickleRef kTrue = 2;

  bool step_string(std::uint8_t opcode) {
    switch (opcode) {
      case 'S': push_bytes(objects_.keep(decode_line(unquote))); return true;
      case 'T': push_bytes(reader_.take(reader_.number(4))); return true;
      case 'U': push_bytes(reader_.take(reader_.number(1))); return true;
      case 'B': push_bytes(reader_.take(reader_.number(4))); return true;
      case 'C': push_bytes(reader_.take(reader_.number(1))); return true;
      case 0x8e: push_bytes(reader_.take(reader_.number(8))); return true;
      case 0x96: push_bytes(reader_.take(reader_.number(8))); return true;
      case 'V': push_text(objects_.keep(decode_line(decode_raw_unicode))); return true;
      case 'X': push_text(reader_.take(reader_.number(4))); return true;
      case 0x8c: push_text(reader_.take(reader_.number(1))); return true;
      case 0x8d: push_text(reader_.take(reader_.number(8))); return true;
      default: return false;
    }
  }

  bool step_number(std::uint8_t opcode) {
    switch (opcode) {
      case 'N': push(kNone); return true;
      case 0x88: push(kTrue); return true;
      case 0x89: push(kFalse); return true;
      case 'I': push_decimal(reader_.line(), true); return true;
      case 'L': push_decimal(reader_.line(), false); return true;
      case 'J': push_integer(static_cast<std::int32_t>(reader_.number(4))); return true;
      case 'K': push_integer(static_cast<std::int64_t>(reader_.number(1))); return true;
      case 'M': push_integer(static_cast<std::int64_t>(reader_.number(2))); return true;
      case 0x8a: push_long(); return true;
      default: return false;
    }
  }

  bool step_container(std::uint8_t opcode) {
    switch (opcode) {
      case '(': open_mark(); return true;
      case '0': pop(); return true;
      case ']': push(add(PickleList{})); return true;
      case ')': push(add(PickleTuple{})); return true;
      case 'l': push(add(PickleList{pop_to_mark()})); return true;
      case 't': push(add(PickleTuple{pop_to_mark()})); return true;
      case 0x85: push_tuple(1); return true;
      case 0x86: push_tuple(2); return true;
      case 0x87: push_tuple(3); return true;
      case 'a': append({pop()}); return true;
      case 'e': append(pop_to_mark()); return true;
      default: return false;
    }
  }

  bool step_memo(std::uint8_t opcode) {
    switch (opcode) {
      case 'p': put(memo_key(reader_.line())); return true;
      case 'q': put(reader_.number(1)); return true;
      case 'r': put(reader_.number(4)); return true;
      case 0x94: put(memo_.size()); return true;
      case 'g': get(memo_key(reader_.line())); return true;
      case 'h': get(reader_.number(1)); return true;
      case 'j': get(reader_.number(4)); return true;
      default: return false;
    }
  }

  bool step_object(std::uint8_t opcode) {
    switch (opcode) {
      case 0x80: check_protocol(reader_.number(1)); return true;
      case 0x95: check_frame(reader_.number(8)); return true;
      case 'c': push_global(); return true;
      case 0x93: push_stack_global(); return true;
      case 'R': {
        const PickleRef arguments = pop();
        const PickleRef callable = pop();
        push(add(objects_.reduce(callable, arguments)));
        return true;
      }
      case 'b': {
        const PickleRef state = pop();
        objects_.build(top(), state);
        return true;
      }
      default: return false;
    }
  }

  // ---- stack and marks ----

  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  PickleRef top() const {
    if (stack_.size() == floor()) reader_.fail_damaged("it needs a value and the stack is empty");
    return stack_.back();
  }

  PickleRef pop() {
    const PickleRef ref = top();
    stack_.pop_back();
    return ref;
  }

  void push(PickleRef ref) { stack_.push_back(ref); }

  PickleRef add(PickleValue value) {
    if (document_.values.size() == kMostValues) {
      reader_.fail_damaged(fmt::format("the file holds more than {} values", kMostValues));
    }
    document_.values.push_back(std::move(value));
    return static_cast<PickleRef>(document_.values.size() - 1);
  }

  void open_mark() {
    if (marks_.size() == kMostMarks) reader_.fail_damaged(fmt::format("nested deeper than {} levels", kMostMarks));
    marks_.push_back(stack_.size());
  }

  std::vector<PickleRef> pop_to_mark() {
    if (marks_.empty()) reader_.fail_damaged("there is no MARK before it");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleRef> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }

  void push_tuple(std::size_t count) {
    std::vector<PickleRef> items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    push(add(PickleTuple{std::move(items)}));
  }

  void append(const std::vector<PickleRef>& items) {
    auto* list = std::get_if<PickleList>(&document_.values[top()]);
    if (list == nullptr) {
      reader_.fail_damaged(fmt::format("it appends to {}", kind_of(document_.values[top()])));
    }
    list->items.insert(list->items.end(), items.begin(), items.end());
  }

  // ---- leaves ----

  void push_bytes(std::span<const std::byte> bytes) { push(add(PickleBytes{bytes})); }
  void push_text(std::span<const std::byte> bytes) { push(add(PickleText{as_text(bytes)})); }
  void push_integer(std::int64_t number) { push(add(number)); }

  std::vector<std::byte> decode_line(LineDecoder decode) {
    std::vector<std::byte> content;
    if (const char* problem = decode(reader_.line(), content)) reader_.fail_damaged(problem);
    return content;
  }

  template <class Number>
  std::optional<Number> parse(std::string_view text) const {
    Number number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
  }

  /// INT writes booleans as 00 and 01; LONG ends in L.
  void push_decimal(std::string_view text, bool with_booleans) {
    if (with_booleans && (text == "00" || text == "01")) return push(text == "01" ? kTrue : kFalse);
    if (!with_booleans && text.ends_with('L')) text.remove_suffix(1);
    const auto number = parse<std::int64_t>(text);
    if (!number) reader_.fail_damaged("its number is not a decimal of 64 bits");
    push_integer(*number);
  }

  void push_long() {
    const std::uint64_t width = reader_.number(1);
    if (width > 8) reader_.fail_damaged(fmt::format("an integer of {} bytes; 8 at most", width));
    std::uint64_t bits = reader_.number(static_cast<int>(width));
    if (width > 0 && width < 8 && (bits >> (8 * width - 1)) != 0) bits |= ~std::uint64_t{0} << (8 * width);
    push_integer(static_cast<std::int64_t>(bits));
  }

  // ---- memo ----

  std::uint64_t memo_key(std::string_view text) const {
    const auto key = parse<std::uint64_t>(text);
    if (!key) reader_.fail_damaged("its memo key is not a number");
    return *key;
  }

  void put(std::uint64_t key) {
    memo_[key] = top();
    if (memo_.size() > kMostMemo) reader_.fail_damaged(fmt::format("the memo holds more than {} values", kMostMemo));
  }

  void get(std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) reader_.fail_damaged(fmt::format("nothing was stored under memo key {}", key));
    push(found->second);
  }

  // ---- objects ----

  void check_protocol(std::uint64_t protocol) const {
    if (protocol > static_cast<std::uint64_t>(kNewestProtocol)) {
      reader_.fail_unsupported(fmt::format("pickle protocol {}; 0 to {} are known", protocol, kNewestProtocol));
    }
  }

  /// Frames only help streaming readers; the length is checked and then ignored.
  void check_frame(std::uint64_t length) {
    PickleReader ahead = reader_;
    ahead.take(length);
  }

  void push_global() {
    const std::string_view module = reader_.line();
    const std::string_view name = reader_.line();
    push(add(objects_.global(module, name)));
  }

  void push_stack_global() {
    const PickleValue& name = document_.values[pop()];
    const PickleValue& module = document_.values[pop()];
    const auto* name_text = std::get_if<PickleText>(&name);
    const auto* module_text = std::get_if<PickleText>(&module);
    if (name_text == nullptr || module_text == nullptr) reader_.fail_damaged("module and name are not both text");
    push(add(objects_.global(module_text->utf8, name_text->utf8)));
  }

  PickleReader reader_;
  PickleDocument document_;
  PickleObjects objects_;
  std::vector<PickleRef> stack_;
  std::vector<std::size_t> marks_;  ///< stack sizes at the open MARKs
  std::unordered_map<std::uint64_t, PickleRef> memo_;
};

}  // namespace

const char* kind_of(const PickleValue& value) {
  static constexpr const char* kNames[] = {"None",          "a boolean",    "an integer", "a byte string",
                                           "a text",        "a list",       "a tuple",    "a type or function",
                                           "a numpy dtype", "a numpy array"};
  static_assert(std::size(kNames) == std::variant_size_v<PickleValue>);
  return kNames[value.index()];
}

PickleDocument unpickle(std::span<const std::byte> bytes, const std::string& file) {
  return Machine(bytes, file).run();
}

}  // namespace plsc::eval
