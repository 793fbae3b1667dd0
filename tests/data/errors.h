#pragma once
// The error that a call throws, for checks of code and wording.

#include <catch2/catch.hpp>

#include "plsc/core/error.h"

namespace plsc::test {

template <class Body>
Error error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  FAIL("no Error was thrown");
  throw Error(ErrorCode::internal, "not reached");
}

}  // namespace plsc::test
