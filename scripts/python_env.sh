#!/bin/bash
# Makes build/venv with the Python packages that some checks need. Prints the interpreter, or why there is none (exit 1).
set -uo pipefail
cd "$(dirname "$0")/.."
packages=(numpy==1.26.4 safetensors==0.4.5 tensorboard==2.17.1 setuptools==70.3.0)
stamp=build/venv/packages

if [ "$(cat $stamp 2>/dev/null)" != "${packages[*]}" ]; then
  mkdir -p build
  rm -rf build/venv
  python3 -m venv build/venv >build/venv.log 2>&1 || {
    echo "python3 -m venv failed (see build/venv.log; Debian: python3-venv)"
    exit 1
  }
  build/venv/bin/pip install -q --disable-pip-version-check --retries 1 --timeout 15 "${packages[@]}" >>build/venv.log 2>&1 || {
    echo "PyPI could not be reached (see build/venv.log)"
    exit 1
  }
  echo "${packages[*]}" >$stamp
fi
echo "$PWD/build/venv/bin/python"
