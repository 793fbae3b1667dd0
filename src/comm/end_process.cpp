#include "comm/end_process.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace plsc::comm {

namespace {

bool is_unread_pipe(int descriptor) {
  struct stat status {};
  int unread = 0;
  return fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode) && ioctl(descriptor, FIONREAD, &unread) == 0 &&
         unread > 0;
}

}  // namespace

void drain_output() noexcept {
  std::fflush(stdout);
  std::fflush(stderr);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while ((is_unread_pipe(STDOUT_FILENO) || is_unread_pipe(STDERR_FILENO)) &&
         std::chrono::steady_clock::now() < deadline) {
    usleep(1000);
  }
}

void end_process(int exit_code) noexcept {
  drain_output();
  std::_Exit(exit_code);
}

}  // namespace plsc::comm
