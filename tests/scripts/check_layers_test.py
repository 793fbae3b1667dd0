#!/usr/bin/env python3
"""Tests of scripts/check_layers.py on small trees."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "check_layers.py"


def run(files):
    """Output lines and exit code for a tree of {path: text}."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "src").mkdir()
        for path, text in files.items():
            file = pathlib.Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, check=False)
        return done.stdout.splitlines(), done.returncode


class CheckLayers(unittest.TestCase):
    def check_refused(self, path, text, *words):
        lines, code = run({path: text})

        self.assertEqual(code, 1)
        self.assertEqual(len(lines), 1)
        for word in (path, *words):
            self.assertIn(word, lines[0])

    def test_a_clean_tree_passes_silently(self):
        lines, code = run({
            "include/plsc/data/a.h": '#include <vector>\n#include "plsc/config/config.h"\n#include "plsc/data/b.h"\n',
            "src/data/a.cpp": '#include "data/p.h"\n#include "q.h"\n#include <fmt/format.h>\n#include <unistd.h>\n',
            "src/comm/mpi/m.cpp": '#include <mpi.h>\n#include "comm/checks.h"\n#include "plsc/core/error.h"\n',
            "src/main.cpp": '#include "plsc/train/trainer.h"\n',
        })

        self.assertEqual(lines, [])
        self.assertEqual(code, 0)

    def test_higher_layers_are_refused_with_line(self):
        self.check_refused("src/core/a.cpp", '#include <map>\n\n  #  include "plsc/train/t.h"\n', ":3:", "'train' is above")

    def test_neighbours_are_refused(self):
        self.check_refused("include/plsc/data/a.h", '#include "plsc/comm/communicator.h"\n', "same layer")

    def test_private_headers_of_other_rooms_are_refused(self):
        self.check_refused("src/train/a.cpp", '#include "data/p.h"\n', "private headers belong to their room")

    def test_public_headers_stay_plain(self):
        self.check_refused("include/plsc/core/a.h", "#include <fmt/format.h>\n", "<fmt/format.h>")
        self.check_refused("include/plsc/core/a.h", "#include <unistd.h>\n", "not standard C++")
        self.check_refused("include/plsc/core/a.h", '#include "core/p.h"\n', "public headers")

    def test_libraries_stay_in_their_places(self):
        self.check_refused("src/train/a.cpp", "#include <mpi.h>\n", "src/comm/mpi/")
        self.check_refused("src/backend/a.cpp", "#include <hwy/highway.h>\n", "src/backend/cpu/")
        self.check_refused("src/core/a.cpp", "#include <boost/any.hpp>\n", "no known library")

    def test_vendor_parts_know_core_and_their_room(self):
        self.check_refused("src/comm/mpi/a.cpp", '#include "plsc/config/config.h"\n', "vendor code of 'comm'")

    def test_unknown_rooms_are_refused(self):
        self.check_refused("src/util/a.cpp", "#include <map>\n", "room 'util' has no layer")
        self.check_refused("src/core/a.cpp", '#include "plsc/util/u.h"\n', "room 'util' has no layer")

    def test_a_folder_without_sources_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, check=False)

        self.assertEqual(done.returncode, 1)
        self.assertIn("no folder src", done.stderr)


if __name__ == "__main__":
    unittest.main()
