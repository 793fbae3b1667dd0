#include "plsc/comm/agreement.h"

#include <fmt/format.h>

#include <optional>
#include <sstream>

#include "plsc/core/error.h"

namespace plsc::comm {

namespace {

// One error as text: code, message and context lines, each ended by a byte that no message holds.
constexpr char kSeparator = '\x1F';

std::string encode(const Error& error) {
  std::string text = std::to_string(static_cast<int>(error.code())) + kSeparator + error.message();
  for (const std::string& line : error.context()) text += kSeparator + line;
  return text;
}

Error decode(const std::string& text) {
  std::istringstream parts(text);
  std::string code;
  std::string message;
  std::getline(parts, code, kSeparator);
  std::getline(parts, message, kSeparator);
  Error error(static_cast<ErrorCode>(std::stoi(code)), message);
  for (std::string line; std::getline(parts, line, kSeparator);) error.add_context(line);
  return error;
}

}  // namespace

void run_agreed(Communicator& communicator, const std::function<void()>& body) {
  std::string outcome;
  try {
    body();
  } catch (const Error& error) {
    outcome = encode(error);
  } catch (const std::exception& error) {
    outcome = encode(Error(ErrorCode::internal, error.what()));
  }
  const std::vector<std::string> outcomes = communicator.all_gather_text(outcome);
  for (std::size_t rank = 0; rank < outcomes.size(); ++rank) {
    if (outcomes[rank].empty()) continue;
    Error error = decode(outcomes[rank]);
    if (outcomes.size() > 1) error.add_context(fmt::format("rank {} of {}", rank, outcomes.size()));
    throw CollectiveError(error);
  }
}

}  // namespace plsc::comm
