"""The tree is as .clang-format and .clang-tidy want it."""
import json
import subprocess

import pytest

from harness.paths import ROOT

pytestmark = pytest.mark.plain


def sources():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "*.c", "*.h"], check=True, capture_output=True, text=True)
    return listed.stdout.split()


def test_clang_format():
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *sources()], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_clang_tidy(tmp_path):
    build = ROOT / "build"
    commands = json.loads((build / "compile_commands.json").read_text())
    assert commands, "build first: tests/run does"
    run = subprocess.run(["run-clang-tidy", "-quiet", "-p", build, "-j2", r".*/src/.*\.c$"], cwd=ROOT,
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
