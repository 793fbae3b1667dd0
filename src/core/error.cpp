#include "plsc/core/error.h"

namespace plsc {

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::internal: return 1;
    case ErrorCode::usage: return 2;
    case ErrorCode::config: return 3;
    case ErrorCode::data: return 4;
    case ErrorCode::io: return 5;
    case ErrorCode::checkpoint: return 6;
    case ErrorCode::comm: return 7;
    case ErrorCode::numeric: return 8;
    case ErrorCode::unavailable: return 9;
  }
  return 1;
}

Error::Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) { rebuild(); }

Error& Error::add_context(std::string line) {
  context_.push_back(std::move(line));
  rebuild();
  return *this;
}

void Error::rebuild() {
  text_ = message_;
  for (const std::string& line : context_) text_ += "\n  " + line;
}

}  // namespace plsc
