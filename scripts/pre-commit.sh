#!/bin/bash
# Checks what is about to be committed. Install it once:
#   ln -s ../../scripts/pre-commit.sh .git/hooks/pre-commit
set -euo pipefail
cd "$(git rev-parse --show-toplevel)"

mapfile -t files < <(git diff --cached --name-only --diff-filter=ACMR)
[ ${#files[@]} -gt 0 ] || exit 0

# The staged contents are checked, not the working tree.
staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
git checkout-index --all --prefix="$staged/"
(cd "$staged" && scripts/check_style.sh "${files[@]}")
python3 "$staged/scripts/check_layers.py"
