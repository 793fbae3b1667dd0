#pragma once
// The last steps of a process that ends early.

namespace plsc::comm {

/// Flushes stdout and stderr; where they are pipes, waits (a second at most) until the reader, such as mpirun, has
/// taken everything.
void drain_output() noexcept;

/// Drains the output and ends this process without destructors: other threads may still be running.
[[noreturn]] void end_process(int exit_code) noexcept;

}  // namespace plsc::comm
