#include <cstdio>
#include <exception>

#include "plsc/app/app.h"
#include "plsc/core/error.h"

// Errors on ranks were printed and ended the job already (app/launch.cpp); what arrives here happened before that.
int main(int argc, char** argv) {
  try {
    return plsc::app::run(argc, argv);
  } catch (const plsc::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return plsc::exit_code(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return plsc::exit_code(plsc::ErrorCode::internal);
  }
}
