# SPDX-License-Identifier: MIT
"""The tree is as .clang-format and .clang-tidy want it, gcc's analyzer finds nothing in it, and files, functions and
names are of a size and kind that people find their way by."""
import collections
import json
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.paths import ROOT, SOURCE

pytestmark = pytest.mark.plain

BUILD = ROOT / "build"

FILE_MOST = 600  # lines
FUNCTION_MOST = 60  # lines, of its heading as well
NAME_MOST = 3  # files in which static functions share a name
# What is beyond that. Nothing may be added here.
LONG_FILES = set()
LONG_FUNCTIONS = set()
SHARED_NAMES = {"keep": 5, "make_environment": 5, "on_timer": 5, "look": 4, "watch": 4, "begin": 4}



def listed(*words):
    """Files of the checkout, also of another user's."""
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", ROOT]
    result = subprocess.run([*git, "ls-files", "-z", *words], check=True, capture_output=True, text=True)
    return result.stdout.split("\0")[:-1]


def sources():
    return listed("*.c", "*.h")


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


def tidy(*options):
    return subprocess.run(["run-clang-tidy", "-quiet", "-p", BUILD, "-j2", *options, r".*/src/.*\.c$"], cwd=ROOT,
                          capture_output=True, text=True)


def test_clang_tidy():
    """All that clang-tidy looks for. Its analyzer takes a tenth of the time to follow this many states of a function, and
    gcc's looks at the same; tests/run --full lets it follow all."""
    assert commands()
    states = [] if os.environ.get("HOLDFAST_TESTS") == "full" else ["-analyzer-config", "max-nodes=20000"]
    run = tidy(*[f"-extra-arg={word}" for state in states for word in ("-Xclang", state)])
    found = [line for line in run.stdout.splitlines() if "error:" in line]
    assert run.returncode == 0, "\n".join(found) or run.stdout


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


def functions(text):
    """[(name, is it static?, lines)] of what a formatted file defines."""
    found, lines = [], text.splitlines()
    for first, line in enumerate(lines):
        if line != "{":
            continue
        heading = first - 1
        while not re.match(r"[A-Za-z_]", lines[heading]):
            heading -= 1
        words = " ".join(lines[heading:first])
        found.append((re.search(r"(\w+)\(", words).group(1), words.startswith("static "),
                      lines.index("}", first) - heading + 1))
    return found


def sources_of_src():
    """{path below src: text}"""
    return {str(path.relative_to(SOURCE)): path.read_text() for path in sorted(SOURCE.rglob("*.c"))}


def test_no_file_is_long():
    assert {path for path, text in sources_of_src().items() if len(text.splitlines()) > FILE_MOST} <= LONG_FILES


def test_no_function_is_long():
    assert {(path, name) for path, text in sources_of_src().items()
            for name, _, lines in functions(text) if lines > FUNCTION_MOST} <= LONG_FUNCTIONS


def test_static_functions_are_found_by_their_names():
    files = collections.defaultdict(set)
    for path, text in sources_of_src().items():
        for name, static, _ in functions(text):
            if static:
                files[name].add(path)
    assert not {name: sorted(paths) for name, paths in files.items() if len(paths) > SHARED_NAMES.get(name, NAME_MOST)}


LICENCE = "SPDX-License-Identifier: MIT"
CODE = {".build", ".c", ".h", ".in", ".js", ".php", ".pl", ".psgi", ".py", ".rb", ".rake", ".ru", ".scd", ".service", ".socket", ".timer"}
FIXTURES = {"corpus", "fixtures", "scenarios"}


def is_code(path):
    return path.suffix in CODE or path.name == "meson_options.txt" or path.read_bytes()[:2] == b"#!"


def test_each_source_names_its_licence():
    """In one of its first two lines: one may be for the interpreter."""
    paths = [ROOT / path for path in listed("--cached", "--others", "--exclude-standard") if not FIXTURES & set(path.split("/")) and (ROOT / path).is_file()]
    code = [path for path in paths if is_code(path)]
    assert len(code) > 500
    assert not [str(path) for path in code
                if not any(LICENCE in line for line in path.read_text().splitlines()[:2])]


def test_functions_are_seen():
    text = "static int one(int a,\n               int b)\n{\n    if (a)\n    {\n    }\n}\n\nint two(void)\n{\n}\n"
    assert functions(text) == [("one", True, 7), ("two", False, 3)]
    assert len(functions((SOURCE / "main.c").read_text())) > 2
