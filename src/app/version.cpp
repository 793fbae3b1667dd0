#include <fmt/format.h>

#include <string>

#include "app/commands.h"
#include "plsc/backend/cpu.h"
#include "plsc/comm/mpi.h"

namespace plsc::app {

std::string version_text() {
  const auto backend = backend::make_cpu_backend({});
  return fmt::format("plsc-train {}\ndevices: {}\nranks:   {}\nbuilt:   {}, C++{}", PLSC_VERSION,
                     backend->description(), comm::mpi_library(), __VERSION__, __cplusplus / 100 % 100);
}

}  // namespace plsc::app
