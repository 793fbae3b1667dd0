#!/bin/bash
# Configures and builds a preset (release, dev, asan-ubsan, tsan) into build/PRESET. Does nothing when all is built.
#   scripts/build.sh [PRESET] [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
[ $# -eq 0 ] || shift

for tool in cmake ninja g++; do
  command -v "$tool" >/dev/null && continue
  echo "build: '$tool' is not installed. Run scripts/install_packages.sh build" >&2
  exit 1
done

# A compiler process may take 1 GB.
jobs=$(nproc)
memory=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
[ "$memory" -ge "$jobs" ] || jobs=$((memory > 1 ? memory : 1))

log=build/$preset-configure.log
mkdir -p build
if ! cmake --preset "$preset" >"$log" 2>&1; then
  cat "$log" >&2
  echo "build: configuring failed. If a library is missing, run scripts/install_packages.sh build" >&2
  exit 1
fi
cmake --build --preset "$preset" --parallel "$jobs" ${1:+--target "$@"}
