#!/bin/bash
# Sets up a bare Debian 12 machine, builds and runs every test and the style checks.
#   --label NAME    only tests with this ctest label (unit, mpi, python, ...), no style checks
#   --long          also tests labelled long
#   --sanitizers    also the unit and mpi tests under AddressSanitizer and UndefinedBehaviorSanitizer, and the threaded ones
#                   under ThreadSanitizer (takes much longer)
#   --no-install    leave packages as they are
# The last line reads "N passed, N failed, N skipped"; the exit code is 1 when something failed.
set -uo pipefail
cd "$(dirname "$0")/.."

label=
long=
sanitizers=
install=yes
while [ $# -gt 0 ]; do
  case $1 in
    --label) label=${2:?--label needs a name}; shift ;;
    --long) long=yes ;;
    --sanitizers) sanitizers=yes ;;
    --no-install) install= ;;
    -h | --help) sed -n '2,/^set/s/^# \?//p' "$0"; exit 0 ;;
    *) echo "test: unknown option '$1'. Use --help." >&2; exit 2 ;;
  esac
  shift
done

passed=0
failed=0
skipped=0
finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
  exit
}
stop() {
  echo "FAILED: $*"
  failed=$((failed + 1))
  finish
}

# check NAME COMMAND...: one check; exit code 77 means skipped.
check() {
  local name=$1 code
  shift
  "$@"
  code=$?
  case $code in
    0) passed=$((passed + 1)); echo "passed: $name" ;;
    77) skipped=$((skipped + 1)); echo "skipped: $name" ;;
    *) failed=$((failed + 1)); echo "FAILED: $name (exit code $code)" ;;
  esac
}

# run_ctest PRESET ARGUMENTS...: all tests of a build, counted from ctest's report.
run_ctest() {
  local preset=$1 report=$PWD/build/$1/junit.xml counts
  shift
  rm -f "$report"
  ctest --test-dir "build/$preset" --output-on-failure --no-tests=error --parallel "$(nproc)" --output-junit "$report" "$@"
  counts=$(python3 - "$report" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree

try:
    suite = tree.parse(sys.argv[1]).getroot()
    total, bad, left = (int(suite.get(key)) for key in ("tests", "failures", "skipped"))
    left += int(suite.get("disabled"))
    print(total - bad - left, bad, left)
except (OSError, tree.ParseError):
    print(0, 1, 0)
PYTHON
  )
  read -r good bad left <<<"$counts"
  passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left))
}

as_root=
if [ "$(id -u)" = 0 ]; then # mpirun refuses to run as root unless told; a container has nobody else
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  as_root=" (as root)"
fi

if [ -n "$install" ]; then
  echo "== packages"
  scripts/install_packages.sh build test || stop "packages"
fi
if python=$(scripts/python_env.sh); then
  export PLSC_PYTHON=$python
else
  echo "Python packages: $python; checks that need them are skipped"
fi

echo "== build"
scripts/build.sh dev || stop "build"

echo "== tests$as_root"
selection=()
[ -z "$label" ] || selection=(-L "^$label\$")
[ -n "$long" ] || selection+=(-LE '^long$')
run_ctest dev "${selection[@]}"

if [ -z "$label" ]; then
  echo "== style"
  check "layers of the include graph" python3 scripts/check_layers.py
  check "style" scripts/check_style.sh
fi

if [ -n "$sanitizers" ]; then
  echo "== AddressSanitizer, UndefinedBehaviorSanitizer"
  export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
  scripts/build.sh asan-ubsan || stop "build for AddressSanitizer"
  run_ctest asan-ubsan -L '^unit$'
  # Open MPI keeps memory until the process ends, which is no leak of ours.
  ASAN_OPTIONS=detect_leaks=0 run_ctest asan-ubsan -L '^mpi$'
  echo "== ThreadSanitizer"
  scripts/build.sh tsan plsc_comm_tests plsc_data_tests plsc_head_tests || stop "build for ThreadSanitizer"
  # GCC's OpenMP runtime is not instrumented: one thread per team, so that only the project's own threads remain.
  OMP_NUM_THREADS=1 TSAN_OPTIONS="halt_on_error=1 suppressions=$PWD/scripts/tsan.supp" \
    run_ctest tsan -R '^(comm|data|head)$'
fi
finish
