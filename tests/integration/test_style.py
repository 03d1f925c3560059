"""The tree is as .clang-format and .clang-tidy want it, and gcc's analyzer finds nothing in it."""
import json
import os
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.paths import ROOT

pytestmark = pytest.mark.plain

BUILD = ROOT / "build"


def sources():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "*.c", "*.h"], check=True, capture_output=True, text=True)
    return listed.stdout.split()


def test_clang_format():
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *sources()], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def commands():
    """How each file of src is compiled: {path: words}."""
    listed = json.loads((BUILD / "compile_commands.json").read_text())
    found = {command["file"]: shlex.split(command["command"]) for command in listed
             if command["file"].startswith("../src/")}
    assert found, "build first: tests/run does"
    return found


def test_clang_tidy():
    assert commands()
    run = subprocess.run(["run-clang-tidy", "-quiet", "-p", BUILD, "-j2", r".*/src/.*\.c$"], cwd=ROOT,
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


def analyze(words):
    """What the analyzer says of one file. To it, what is stored through a pointer to a pointer is lost: LeakSanitizer
    and valgrind look for leaks instead."""
    words = [word for word in words if word not in ("ccache", "-MD")]
    for option in ("-o", "-MF", "-MQ"):
        at = words.index(option)
        del words[at:at + 2]
    run = subprocess.run(["gcc", *words[1:], "-o", "/dev/null", "-fanalyzer", "-Werror", "-Wno-analyzer-malloc-leak"],
                         cwd=BUILD, capture_output=True, text=True)
    return run.stderr if run.returncode else ""


def test_gcc_analyzer():
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = "".join(pool.map(analyze, commands().values()))
    assert not found, found


def test_the_analyzer_sees_a_null_pointer(tmp_path):
    bad = tmp_path / "bad.c"
    bad.write_text("#include <stdlib.h>\nchar *f(void); char *f(void) { char *p = malloc(4); *p = 1; return p; }\n")
    some = next(words for path, words in commands().items() if path.endswith("base/fd.c"))
    assert "analyzer-possible-null-dereference" in analyze([*some[:-1], str(bad)])
