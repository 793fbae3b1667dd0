#!/usr/bin/env python3
"""Tests of install_packages.sh, check_style.sh and the option handling of test.sh, with stand-ins for the system's tools."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class Sandbox:
    """A copy of scripts/ and third_party/ with a PATH of its own, in which commands are stand-ins that log their call."""

    TOOLS = ("bash", "sed", "mktemp", "rm", "tail", "dirname", "env", "cat", "grep", "sort", "wc", "find")

    def __init__(self, folder):
        self.root = pathlib.Path(folder)
        self.bin = self.root / "bin"
        self.bin.mkdir()
        shutil.copytree(REPOSITORY / "scripts", self.root / "scripts")
        shutil.copytree(REPOSITORY / "third_party", self.root / "third_party")
        for tool in self.TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))

    def stand_in(self, name, body):
        file = self.bin / name
        file.write_text(f"#!/bin/bash\necho {name} \"$@\" >>'{self.root}/calls'\n{body}\n", encoding="utf-8")
        file.chmod(0o755)

    def calls(self):
        log = self.root / "calls"
        return log.read_text(encoding="utf-8") if log.exists() else ""

    def run(self, script, *arguments):
        done = subprocess.run([self.bin / "bash", self.root / "scripts" / script, *arguments], capture_output=True, text=True,
                              env={"PATH": str(self.bin), "TMPDIR": str(self.root)}, cwd=self.root, check=False)
        return done.returncode, done.stdout + done.stderr


class ScriptTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.box = Sandbox(folder.name)


class InstallPackages(ScriptTest):
    def debian(self, user="0", installed="", apt="exit 0"):
        self.box.stand_in("id", f"echo {user}")
        self.box.stand_in("dpkg-query", f'case " {installed} " in *" ${{!#}} "*) echo installed ;; *) exit 1 ;; esac')
        self.box.stand_in("apt-get", apt)

    def fonts(self):
        text = (REPOSITORY / "third_party" / "packages-fonts.txt").read_text(encoding="utf-8")
        return [line.split("#")[0].strip() for line in text.splitlines() if line.split("#")[0].strip()]

    def test_missing_packages_are_installed(self):
        self.debian(installed=self.fonts()[0])

        code, output = self.box.run("install_packages.sh", "fonts")

        self.assertEqual(code, 0, output)
        install = self.box.calls().splitlines()[-1]
        self.assertIn("install " + " ".join(self.fonts()[1:]), install)
        self.assertIn("update", self.box.calls())

    def test_nothing_is_done_when_nothing_is_missing(self):
        self.debian(installed=" ".join(self.fonts()))

        code, output = self.box.run("install_packages.sh", "fonts")

        self.assertEqual((code, output), (0, ""))
        self.assertNotIn("apt-get", self.box.calls())

    def test_without_root_sudo_is_used_or_asked_for(self):
        self.debian(user="1000")
        code, output = self.box.run("install_packages.sh", "fonts")
        self.assertEqual(code, 1)
        self.assertIn("needs root", output)
        self.assertIn("apt-get install", output)

        self.box.stand_in("sudo", "exit 0")
        code, output = self.box.run("install_packages.sh", "fonts")
        self.assertEqual(code, 0, output)
        self.assertIn("sudo env DEBIAN_FRONTEND=noninteractive apt-get", self.box.calls())

    def test_other_systems_are_told_what_is_needed(self):
        code, output = self.box.run("install_packages.sh", "build")

        self.assertEqual(code, 1)
        self.assertIn("no apt", output)
        self.assertIn("libopenmpi-dev", output)

    def test_a_failing_installation_shows_its_output(self):
        self.debian(apt="echo 'Temporary failure resolving'; exit 100")

        code, output = self.box.run("install_packages.sh", "fonts")

        self.assertEqual(code, 1)
        self.assertIn("Temporary failure resolving", output)
        self.assertIn("Check the network", output)

    def test_unknown_lists_are_named(self):
        code, output = self.box.run("install_packages.sh", "nothing")

        self.assertEqual(code, 1)
        self.assertIn("no list 'nothing'", output)
        self.assertIn("packages-fonts.txt", output)


class CheckStyle(ScriptTest):
    def setUp(self):
        super().setUp()
        self.box.stand_in("clang-format-14", '[ "$1" = --version ] && echo version 14.0.6 || exit 0')

    def check(self, name, text):
        (self.box.root / name).write_text(text, encoding="utf-8")
        return self.box.run("check_style.sh", name)

    def test_a_clean_file_passes(self):
        self.assertEqual(self.check("a.cpp", "int a = 0;\n"), (0, ""))

    def test_tabs_spaces_and_nameless_tasks_are_named_with_line(self):
        task = "TO" + "DO"
        code, output = self.check("a.cpp", f"int a;\n\tint b;\nint c; \n// {task}: later\n// {task}(ada): issue 3\n")

        self.assertEqual(code, 1)
        for line in (2, 3, 4):
            self.assertIn(f"a.cpp:{line}:", output)
        self.assertNotIn("a.cpp:5:", output)
        self.assertIn("3 problems", output)

    def test_long_files_are_noted_and_then_refused(self):
        self.assertIn("about 400", self.check("a.py", "a = 0\n" * 450)[1])
        self.assertEqual(self.check("a.py", "a = 0\n" * 450)[0], 0)
        self.assertEqual(self.check("b.py", "a = 0\n" * 601)[0], 1)

    def test_the_formatter_decides(self):
        self.box.stand_in("clang-format-14", 'echo "a.cpp:1:2: error: code should be clang-formatted" >&2; exit 1')

        code, output = self.check("a.cpp", "int a=0;\n")

        self.assertEqual(code, 1)
        self.assertIn("a.cpp:1:2", output)
        self.assertIn("--fix", output)


class TestCommand(unittest.TestCase):
    def test_unknown_options_are_refused(self):
        done = subprocess.run(["bash", REPOSITORY / "scripts" / "test.sh", "--fast"], capture_output=True, text=True,
                              env=os.environ, check=False)

        self.assertEqual(done.returncode, 2)
        self.assertIn("unknown option '--fast'", done.stderr)

    def test_help_lists_the_options(self):
        done = subprocess.run(["bash", REPOSITORY / "scripts" / "test.sh", "--help"], capture_output=True, text=True,
                              env=os.environ, check=False)

        self.assertEqual(done.returncode, 0)
        for option in ("--label", "--long", "--sanitizers", "--no-install"):
            self.assertIn(option, done.stdout)
        self.assertNotIn("set -uo", done.stdout)


if __name__ == "__main__":
    unittest.main()
