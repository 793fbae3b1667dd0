#!/bin/bash
# Checks formatting, file lengths, tabs and unnamed TODOs of all sources, or of the files given.
#   scripts/check_style.sh [FILE...]      --fix formats instead of complaining
set -uo pipefail
cd "$(dirname "$0")/.."

readonly kLong=400 kTooLong=600
action=--dry-run
if [ "${1:-}" = --fix ]; then
  action=-i
  shift
fi

if [ $# -gt 0 ]; then
  files=("$@")
elif git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  mapfile -t files < <(git ls-files -co --exclude-standard)
else # unpacked from an archive
  mapfile -t files < <(find . -path ./build -prune -o -type f -printf '%P\n')
fi

sources=()
texts=()
for file in "${files[@]}"; do
  [ -f "$file" ] || continue
  case $file in
    *.h | *.cpp | *.cu | *.cuh) sources+=("$file") texts+=("$file") ;;
    *.py | *.sh | *.cmake | *.yaml | *.yml | *CMakeLists.txt | *.md | .ci/*) texts+=("$file") ;;
  esac
done

failures=0
complain() {
  echo "$*"
  failures=$((failures + 1))
}

format=$(command -v clang-format-14 || command -v clang-format || true)
if [ -z "$format" ]; then
  complain "clang-format is not installed. Run scripts/install_packages.sh test"
elif [ ${#sources[@]} -gt 0 ]; then
  version=$("$format" --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
  [ "$version" = 14 ] || echo "note: clang-format is version $version, the project is formatted with 14; small differences are possible"
  "$format" $action -Werror "${sources[@]}" 2>&1 | grep -E '(error|warning):' | sort -u -t: -k1,1
  [ "${PIPESTATUS[0]}" -eq 0 ] || complain "formatting differs. Run scripts/check_style.sh --fix"
fi

for file in "${texts[@]}"; do
  while IFS= read -r line; do complain "$line"; done < <(
    case $file in *.md) pattern=$'\t' ;; *) pattern=$'\t|[ \t]+$' ;; esac
    grep -nHE "$pattern" "$file" | sed -E 's/^([^:]*:[0-9]*):.*/\1: tab or trailing space/'
    grep -nHE '\bTODO\b' "$file" | grep -vE 'TODO\([a-z]|scripts/check_style.sh|CONTRIBUTING.md' |
      sed -E 's/^([^:]*:[0-9]*):.*/\1: TODO without a name; write TODO(name): issue/'
  )
  case $file in *.md) continue ;; esac
  lines=$(wc -l <"$file")
  if [ "$lines" -gt $kTooLong ]; then
    complain "$file: $lines lines; $kTooLong at most, split it"
  elif [ "$lines" -gt $kLong ]; then
    echo "note: $file has $lines lines; about $kLong is the aim"
  fi
done

[ $failures -eq 0 ] || echo "style: $failures problems"
[ $failures -eq 0 ]
