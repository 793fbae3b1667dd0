#pragma once
// Errors of the whole program. Library code throws Error and never prints, exits or aborts; main() prints the chain
// and returns exit_code(). Messages read "<problem> (<why>). <what to do>."; callers add context lines that name file,
// line, key, rank or step.

#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace plsc {

/// What kind of thing went wrong; decides the process exit code (documented in docs/errors.md).
enum class ErrorCode {
  internal,     ///< a bug in plsc-train: exit 1
  usage,        ///< wrong command line: exit 2
  config,       ///< configuration file or combination of options: exit 3
  data,         ///< input data: lists, images, verification files: exit 4
  io,           ///< file system: missing, unreadable, full: exit 5
  checkpoint,   ///< checkpoint missing, damaged or of another model: exit 6
  comm,         ///< communication between ranks: exit 7
  numeric,      ///< NaN or infinity in training: exit 8
  unavailable,  ///< a feature that this build or machine does not have: exit 9
};

/// Process exit code of an error kind; 0 is success, 10 a clean stop on request (a checkpoint was written).
int exit_code(ErrorCode code);
inline constexpr int kExitStopped = 10;

class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message);

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::vector<std::string>& context() const { return context_; }

  /// Appends one outer context line, such as "file configs/a.yaml, line 3" or "rank 2, step 40".
  Error& add_context(std::string line);

  /// The message, then one indented line per context, innermost first.
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  void rebuild();

  ErrorCode code_;
  std::string message_;
  std::vector<std::string> context_;
  std::string text_;
};

/// An Error that every rank throws alike, at the same point: rank 0 reports it for all.
class CollectiveError final : public Error {
 public:
  explicit CollectiveError(const Error& error) : Error(error) {}
};

/// Runs `body`; an Error that leaves it gets the context line `describe()` (built only then).
template <class Describe, class Body>
decltype(auto) with_context(Describe&& describe, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (Error& error) {
    error.add_context(describe());
    throw;
  }
}

}  // namespace plsc
