#!/bin/bash
# Runs clang-tidy on the .cpp files given, or on those that differ from the main branch, with the dev build's commands.
#   scripts/tidy.sh [FILE...]
set -euo pipefail
cd "$(dirname "$0")/.."
tidy=$(command -v clang-tidy-14 || command -v clang-tidy) || {
  echo "tidy: clang-tidy is not installed. Run scripts/install_packages.sh dev" >&2
  exit 1
}
if [ ! -f build/dev/compile_commands.json ]; then
  mkdir -p build
  cmake --preset dev >build/dev-configure.log || {
    cat build/dev-configure.log >&2
    exit 1
  }
fi

files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  base=$(git merge-base HEAD origin/main 2>/dev/null || git rev-parse HEAD)
  mapfile -t files < <({ git diff --name-only --diff-filter=d "$base" && git ls-files -o --exclude-standard; } |
    grep -E '^(src|tests|benchmarks)/.*\.cpp$' | sort -u)
fi
[ ${#files[@]} -gt 0 ] || {
  echo "tidy: nothing changed"
  exit 0
}
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" "$tidy" -p build/dev --quiet --extra-arg=-Wno-unknown-warning-option
