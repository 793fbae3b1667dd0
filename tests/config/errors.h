#pragma once
// Catches the error that a test provokes.

#include <catch2/catch.hpp>
#include <string>

#include "plsc/config/load.h"
#include "plsc/core/error.h"

namespace plsc::config {

/// The text of the Error that `body` throws; fails the test when there is none or its code is another.
template <class Body>
std::string error_of(Body&& body, ErrorCode code = ErrorCode::config) {
  try {
    body();
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(error.code() == code);
    return error.what();
  }
  FAIL("expected an error");
  return "";
}

inline std::string parse_error(const std::string& text) {
  return error_of([&] { parse_config(text, "run.yaml"); });
}

inline std::string override_error(const std::string& text, ErrorCode code = ErrorCode::config) {
  return error_of([&] { load_config("", {text}); }, code);
}

}  // namespace plsc::config
