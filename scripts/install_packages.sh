#!/bin/bash
# Installs the Debian packages of third_party/packages-LIST.txt that are missing. Quiet when nothing is.
#   scripts/install_packages.sh build test fonts dev
set -euo pipefail
folder=$(cd "$(dirname "$0")/../third_party" && pwd)

fail() {
  echo "install_packages: $*" >&2
  exit 1
}

[ $# -gt 0 ] || fail "no list named. Use: $0 LIST..., with lists $(cd "$folder" && echo packages-*.txt)."
wanted=()
for list in "$@"; do
  file=$folder/packages-$list.txt
  [ -f "$file" ] || fail "there is no list '$list' ($file). Known lists: $(cd "$folder" && echo packages-*.txt)."
  mapfile -t -O "${#wanted[@]}" wanted < <(sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$file")
done

command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
  fail "this system has no apt (Debian 12 or a relative is expected). Install what these packages hold by its own means: ${wanted[*]}"

missing=()
for package in "${wanted[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null ||
    fail "installing needs root, and there is no sudo. As root, run: apt-get install ${missing[*]}"
  root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() {
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1 && return
  tail -n 15 "$log" >&2
  fail "'$*' failed (see above). Check the network and the package sources, then run this again."
}

echo "installing ${#missing[@]} packages: ${missing[*]}"
run apt-get -q -o Acquire::Retries=3 update
run apt-get -q -y -o Acquire::Retries=3 -o Dpkg::Options::=--force-confold --no-install-recommends install "${missing[@]}"
