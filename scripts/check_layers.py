#!/usr/bin/env python3
"""Checks that #include lines follow the layers of docs/architecture.md.

A room may include public headers of its own and of lower layers, private headers of its own only. Public headers are
plain C++20. Libraries are used only where LIBRARIES says so. Prints file:line: reason for each violation, exit code 1.

    scripts/check_layers.py [FOLDER]    FOLDER holds include/ and src/; default: this repository
"""

import pathlib
import re
import sys

LAYERS = (
    ("core",),
    ("backend", "config", "storage"),
    ("comm", "data"),
    ("nn", "optim"),
    ("models", "head"),
    ("checkpoint",),
    ("eval", "deploy"),
    ("train",),
    ("app",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}

# Parts of a room that hold vendor code: besides their room's public headers they know core only.
VENDOR_PARTS = ("src/backend/cpu/", "src/backend/cuda/", "src/comm/self/", "src/comm/mpi/", "src/comm/nccl/")

# Start of an include -> paths that may have it. Headers of the language and of POSIX are free in src/.
LIBRARIES = {
    "fmt/": ("src/",),
    "nlohmann/": ("src/data/", "src/checkpoint/", "src/eval/", "src/deploy/", "src/train/", "src/app/"),
    "spdlog/": ("src/core/",),
    "yaml-cpp/": ("src/config/",),
    "CLI/": ("src/app/",),
    "xxhash.h": ("src/checkpoint/",),
    "turbojpeg.h": ("src/data/",),
    "stb_": ("src/data/",),
    "mpi.h": ("src/comm/mpi/",),
    "dnnl": ("src/backend/cpu/",),
    "oneapi/dnnl/": ("src/backend/cpu/",),
    "hwy/": ("src/backend/cpu/",),
    "omp.h": ("src/backend/cpu/",),
    "cuda": ("src/backend/cuda/", "src/comm/nccl/"),
    "cudnn": ("src/backend/cuda/",),
    "cublas": ("src/backend/cuda/",),
    "nccl.h": ("src/comm/nccl/",),
}
POSIX = re.compile(
    r"(sys|linux|netinet|arpa)/\w+\.h|"
    r"(dirent|errno|fcntl|glob|pthread|sched|semaphore|signal|stdlib|string|termios|time|unistd|netdb|poll)\.h"
)
STANDARD = re.compile(r"\w+")  # no suffix: <vector>
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')
SOURCES = (".h", ".cpp", ".cu", ".cuh")


def room_of(path):
    """'include/plsc/data/x.h' -> 'data'; src/main.cpp belongs to app."""
    parts = pathlib.PurePosixPath(path).parts
    if parts[0] == "include":
        return parts[2] if len(parts) > 3 else None
    return parts[1] if len(parts) > 2 else "app"


def check_public(path, room, target):
    """An include of another public header, 'plsc/<room>/...'."""
    other = target.split("/")[1]
    if other not in LEVEL:
        return f"room '{other}' has no layer (add it to LAYERS in scripts/check_layers.py and docs/architecture.md)"
    if other == room:
        return None
    if path.startswith(VENDOR_PARTS) and other != "core":
        return f"vendor code of '{room}' may include core and its own room, not '{other}'"
    if LEVEL[other] < LEVEL[room]:
        return None
    relation = "on the same layer as" if LEVEL[other] == LEVEL[room] else "above"
    return f"room '{room}' may not include '{target}': '{other}' is {relation} it"


def check_private(path, room, target):
    """A quoted include that is not 'plsc/...'."""
    if path.startswith("include/"):
        return f"public headers may not include '{target}': only plsc/... and the standard library"
    folder = target.split("/")[0]
    if "/" in target and folder != room:
        return f"room '{room}' may not include '{target}': private headers belong to their room"
    return None


def check_library(path, target):
    for start, places in LIBRARIES.items():
        if target.startswith(start):
            if path.startswith(places):
                return None
            return f"<{target}> is not for this place: only {', '.join(places)}"
    if STANDARD.fullmatch(target):
        return None
    if POSIX.fullmatch(target):
        return None if path.startswith("src/") else f"public headers may not include <{target}>: it is not standard C++"
    return f"<{target}> is of no known library (add it to LIBRARIES in scripts/check_layers.py and third_party/README.md)"


def check_include(path, quote, target):
    """Why the file at `path` may not have this include, or None."""
    room = room_of(path)
    if room not in LEVEL:
        return f"room '{room}' has no layer (add it to LAYERS in scripts/check_layers.py and docs/architecture.md)"
    if target.startswith("plsc/") and target.count("/") >= 2:
        return check_public(path, room, target)
    if quote == "<":
        return check_library(path, target)
    return check_private(path, room, target)


def check_tree(root):
    """Violations as 'file:line: reason'."""
    found = []
    for folder in ("include/plsc", "src"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in SOURCES:
                continue
            path = file.relative_to(root).as_posix()
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
                match = INCLUDE.match(line)
                reason = match and check_include(path, match.group(1), match.group(2))
                if reason:
                    found.append(f"{path}:{number}: {reason}")
    return found


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    if not (root / "src").is_dir():
        sys.exit(f"check_layers: {root} has no folder src")
    violations = check_tree(root)
    print("\n".join(violations), end="\n" if violations else "")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
