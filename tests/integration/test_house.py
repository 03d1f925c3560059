# SPDX-License-Identifier: MIT
"""The directions between the rooms of src, the purity of those that are to be pure, and that each part can be left out."""
import collections
import pathlib
import re
import signal
import subprocess

import pytest

from harness import process
from harness.holdfast import Holdfast
from harness.paths import HOLDFAST, LIBRARIES, SOURCE

pytestmark = pytest.mark.plain

# Who may include whom, beside its own room. A part is a room of its own; main.c may include everything.
EVERYONE = {"base"}
MAY_INCLUDE = {
    "base": set(),
    "format": EVERYONE,
    "kernel": EVERYONE,
    "policy": EVERYONE,
    "config": EVERYONE | {"format"},
    "service": EVERYONE | {"kernel", "format", "config"},
    "loop": EVERYONE | {"kernel", "format", "config"},
    "run": EVERYONE | {"kernel", "format", "policy", "config", "loop", "service/adapter.h", "service/handoff.h"},
    "parts": EVERYONE | {"kernel", "format", "policy", "config", "loop", "service/adapter.h", "service/handoff.h", "run",
                         "parts/events", "parts/probe", "parts.h"},
    "parts.h": {"run"},
    "cli": EVERYONE | {"format", "config", "parts/control/names.h"},
    "completions": EVERYONE | {"config"},
}

# Nothing may be added here.
KNOWN = set()

PURE = ("format", "policy")
# What parts decide by: as pure as policy.
PURE_MODULES = ("parts/fallback/hold", "parts/inherit/takeover_life", "parts/privileges/capability_needs")

IMPURE_HEADERS = {"unistd.h", "stdlib.h", "stdio.h", "fcntl.h", "time.h", "signal.h", "sys/socket.h", "sys/wait.h",
                  "sys/time.h", "sys/stat.h", "pthread.h", "syslog.h"}

PURE_SYMBOLS = {"memcpy", "memset", "memcmp", "memmove", "memchr", "memrchr", "memmem", "strlen", "strnlen", "strcmp",
                "strncmp", "strcasecmp", "strncasecmp", "strchr", "strchrnul", "strrchr", "strstr", "strspn", "strcspn",
                "strpbrk", "strsep", "strtok_r", "strcpy", "stpcpy", "inet_pton", "inet_ntop", "__stack_chk_fail", "__assert_fail",
                "__errno_location", "__memcpy_chk", "__memset_chk", "__memmove_chk", "__strcpy_chk", "__stpcpy_chk",
                "__strncpy_chk", "_GLOBAL_OFFSET_TABLE_"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)

NEVER = {
    "a bare pid is never signalled": re.compile(r"\bkill\s*\("),
    "one reaper owns all reaping, by waitid": re.compile(r"\b(waitpid|wait3|wait4|wait)\s*\("),
    "a wait is for an event, not for time": re.compile(r"\b(sleep|usleep|nanosleep)\s*\("),
}
# A child before its pidfd exists, unreaped by the very function: its number can be nobody else's.
# A child, or its group, that has not been reaped yet: the number is nobody else's.
EXCEPTIONS = {("kernel/spawn.c", "kill("), ("loop/capture.c", "kill(")}
LOGS = re.compile(r"\b(hf_log(?:_lines|_setup)?|sd_journal_\w+|syslog|vsyslog|perror|printf|vprintf|puts|fprintf|vfprintf|dprintf)\s*\(")


def code(text):
    """The text without comments and without what is in quotes."""
    return COMMENT_OR_STRING.sub(lambda match: '""' if match.group().startswith('"') else " ", text)


def sources(layer):
    return sorted(path for path in (SOURCE / layer).rglob("*.[ch]"))


def includes(text):
    """[(own, name)] of a file's text."""
    return [(kind == '"', name) for kind, name in INCLUDE.findall(text)]


def room(path):
    """The folder that a file of src belongs to: "run", "parts/watch"."""
    first, *rest = path.split("/")
    return f"parts/{rest[0]}" if first == "parts" else first


def wrong_directions(path, text):
    """What a file of src includes and may not."""
    allowed = MAY_INCLUDE[path.split("/")[0]] | {room(path)}
    return [name for own, name in includes(text) if own and name not in allowed and room(name) not in allowed]


def impure_includes(text):
    return [name for own, name in includes(text) if not own and name in IMPURE_HEADERS]


def all_sources():
    """{path below src: text}"""
    return {str(path.relative_to(SOURCE)): path.read_text() for path in sorted(SOURCE.rglob("*.[ch]"))}


def test_include_directions():
    wrong = {f"{path} -> {name}" for path, text in all_sources().items() if path != "main.c"
             for name in wrong_directions(path, text)}
    assert not wrong - KNOWN


@pytest.mark.parametrize("layer", PURE)
def test_what_is_pure_includes_no_system_call(layer):
    wrong = {str(path): found for path in sources(layer) if (found := impure_includes(path.read_text()))}
    assert not wrong
    assert sources(layer), f"src/{layer} is empty"


@pytest.mark.parametrize("name", PURE_MODULES)
def test_what_parts_decide_by_is_pure(name):
    for suffix in (".c", ".h"):
        text = (SOURCE / f"{name}{suffix}").read_text()
        assert not impure_includes(text)
        assert {other for own, other in includes(text) if own} <= {f"{name}.h"}
    part = name.split("/")[1]
    assert without_sanitizers(nm("-u", LIBRARIES / f"lib{part}.a.p" / f"{name.replace('/', '_')}.c.o")) <= PURE_SYMBOLS


@pytest.mark.parametrize("path, name", [
    ("policy/machine_step.c", "kernel/socket.h"), ("kernel/socket.c", "format/address.h"), ("cli/call.c", "kernel/owner.h"),
    ("run/actions.c", "parts/watch/queue_watch.h"), ("run/plan.c", "service/php_fpm/php_fpm.h"),
    ("parts/watch/queue_watch.c", "parts/control/control.h"), ("service/handoff.c", "run/plan.h"),
])
def test_a_wrong_include_is_seen(path, name):
    assert wrong_directions(path, f'#include <string.h>\n#include "base/text.h"\n# include "{name}"\n') == [name]


def test_a_right_include_is_not_seen():
    assert not wrong_directions("parts/control/control.c", '#include "parts/events/events.h"\n#include "run/plan.h"\n')
    assert not wrong_directions("run/plan.c", '#include "service/adapter.h"\n')
    assert impure_includes("#include <time.h>\n#include <string.h>\n") == ["time.h"]


def nm(*arguments):
    shown = subprocess.run(["nm", *map(str, arguments)], env=process.environment(), check=True, capture_output=True,
                           text=True).stdout
    return {line.split()[-1].partition("@")[0] for line in shown.splitlines() if len(line.split()) > 1}


def without_sanitizers(symbols):
    return {name for name in symbols if not name.startswith(("__asan_", "__ubsan_"))}


def library(layer):
    path = LIBRARIES / f"lib{layer}.a"
    if not path.exists():
        pytest.fail(f"{path} is not built", pytrace=False)
    return path


@pytest.mark.parametrize("layer", PURE)
def test_what_is_pure_needs_no_system(layer):
    undefined = nm("-u", library(layer)) - nm("--defined-only", library(layer)) - nm("--defined-only", library("base"))
    assert without_sanitizers(undefined) <= PURE_SYMBOLS


def test_an_impure_symbol_is_seen():
    assert not nm("-u", library("base")) <= PURE_SYMBOLS


def test_policy_allocates_nothing():
    assert not {name for name in nm("-u", library("policy"))
                if name.startswith(("hf_text", "hf_memory", "malloc", "calloc", "realloc"))}


# ---- circles: a module is a .c with its .h ----

def module(path):
    return path.rpartition(".")[0]


def included(texts):
    """{module: modules that it includes}, of {path: text}"""
    uses = collections.defaultdict(set)
    for path, text in texts.items():
        uses[module(path)] |= {module(name) for own, name in includes(text) if own and name in texts}
    return uses


def called(listing, names):
    """{module: modules that it calls}, of what `nm -A` says; names: {object file: module}"""
    defined = {}
    wanted = collections.defaultdict(set)
    for line in listing.splitlines():
        file, _, rest = line.partition(":")
        kind, name = rest.split()[-2:]
        owner = names.get(pathlib.Path(file).name)
        if owner and kind == "U":
            wanted[owner].add(name)
        elif owner and kind in "TDBRCVW":
            defined[name] = owner
    return {owner: {defined[name] for name in some if name in defined} for owner, some in wanted.items()}


def circles(*graphs):
    """Modules that can be reached from themselves, those of one circle together."""
    uses = collections.defaultdict(set)
    for graph in graphs:
        for name, others in graph.items():
            uses[name] |= others - {name}

    def reached(name):
        seen, waiting = set(), [name]
        while waiting:
            more = uses[waiting.pop()] - seen
            seen |= more
            waiting += more
        return seen
    reach = {name: reached(name) for name in list(uses)}
    found = {frozenset({name, *(other for other in others if name in reach.get(other, ()))})
             for name, others in reach.items() if name in others}
    return [set(circle) for circle in found]


def test_no_circles():
    texts = all_sources()
    names = {path.replace("/", "_") + ".o": module(path) for path in texts if path.endswith(".c")}
    objects = [path for path in LIBRARIES.glob("*.p/*.o") if path.name in names]
    assert {path.name for path in objects} >= set(names) - {name for name in names if name.startswith("completions_")}
    listing = subprocess.run(["nm", "-A", *map(str, objects)], env=process.environment(), check=True, capture_output=True,
                             text=True).stdout
    assert not circles(included(texts), called(listing, names))


def test_a_circle_is_seen():
    texts = {"run/a.c": '#include "run/b.h"\n', "run/b.h": '#include "run/c.h"\n', "run/c.h": '#include "run/a.h"\n', "run/a.h": ""}
    assert circles(included(texts)) == [{"run/a", "run/b", "run/c"}]
    names = {"run_a.c.o": "run/a", "run_b.c.o": "run/b"}
    there = "x/run_a.c.o:0000 T hf_a\nx/run_a.c.o: U hf_b\nx/run_b.c.o:0000 T hf_b\n"
    assert called(there, names) == {"run/a": {"run/b"}}
    assert not circles(called(there, names))
    assert circles(called(there + "x/run_b.c.o: U hf_a\n", names)) == [{"run/a", "run/b"}]
    # one includes, the other calls back by a declaration of its own
    assert circles({"run/a": {"run/b"}}, {"run/b": {"run/a"}}) == [{"run/a", "run/b"}]
    assert not circles({"run/a": {"run/b", "run/c"}, "run/b": {"run/c"}})


# ---- each part can be left out ----

PARTS = sorted(path.name for path in (SOURCE / "parts").iterdir() if path.is_dir())
TAKEN_ALONG = {"events": ["control", "survive", "trial", "watch", "fallback"], "probe": ["control", "trial"]}


@pytest.mark.load
@pytest.mark.parametrize("part", PARTS)
def test_without(make_site, part):
    """The program without the part starts, reloads under load, and stops."""
    program = HOLDFAST.parents[1] / "tests" / f"holdfast-without-{part}"
    if not program.exists():
        pytest.fail(f"{program} is not built", pytrace=False)
    there = {name.removeprefix("hf_part_") for name in nm("--defined-only", program) if name.startswith("hf_part_")}
    assert there == set(PARTS) - {part, *TAKEN_ALONG.get(part, [])}
    site = make_site(children=8)
    holdfast = Holdfast(site, ["--log-level=debug"], None, wrapper=(program,))
    site.instances.append(holdfast)
    site.at_close(holdfast.close)
    holdfast.launch()
    holdfast.wait(r"event ready of slot 0")
    before = site.main_pid()
    load = site.load()
    holdfast.send(signal.SIGHUP)
    holdfast.wait(r"event gone of slot 0")
    assert site.main_pid() != before
    load.assert_nothing_lost()
    holdfast.stop()


@pytest.mark.parametrize("part, arguments", [
    ("control", ["reload", "--name=any"]), ("fallback", ["run", "--busy-after=3s", "--", "true"]),
    ("events", ["run", "--on-event=true", "--", "true"]), ("inherit", ["stop", "--unit=any.service"]),
    ("inherit", ["run", "--take-over", "--", "true"]), ("probe", ["probe", "127.0.0.1:1"]),
    ("probe", ["run", "--probe=tcp", "--listen=127.0.0.1:1", "--", "true"]), ("ready_log", ["run", "--ready=log:x", "--", "true"]),
    ("trial", ["check", "--preflight=true", "--", "true"]), ("watch", ["run", "--recycle-memory=1G", "--", "true"]),
    ("verbs", ["check", "--", "true"]), ("verbs", ["exec", "--", "true"]),
])
def test_what_is_left_out_is_named(part, arguments):
    program = HOLDFAST.parents[1] / "tests" / f"holdfast-without-{part}"
    result = subprocess.run([program, *arguments], env=process.environment(), stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=30, check=False)
    assert result.returncode in (1, 2)
    assert result.stderr.count("\n") == 1 and f"this build of holdfast has no part {part}\n" in result.stderr


@pytest.mark.parametrize("rule", sorted(NEVER))
def test_never_anywhere(rule):
    found = [(str(path.relative_to(SOURCE)), match.group()) for path in sorted(SOURCE.rglob("*.[ch]"))
             for match in NEVER[rule].finditer(code(path.read_text()))]
    wrong = [place for place in found if place not in EXCEPTIONS or found.count(place) > 1]
    assert not wrong


def test_only_run_parts_and_cli_log():
    wrong = [f"{path}: {match.group()}" for layer in ("base", "format", "kernel", "policy", "config") for path in sources(layer)
             if path.stem != "log" for match in LOGS.finditer(code(path.read_text()))]
    assert not wrong


def test_what_is_never_done_is_seen():
    assert NEVER["a bare pid is never signalled"].search(code("x = kill(pid, 9);"))
    assert not NEVER["a bare pid is never signalled"].search(code('/* kill( */ "kill(" pidfd_kill(fd)'))
    assert NEVER["one reaper owns all reaping, by waitid"].search(code("waitpid(-1, &s, 0)"))
    assert LOGS.search(code("hf_log(LOG_ERR")) and not LOGS.search(code("snprintf(a, b, \"%s\")"))


def test_headers_stand_alone():
    """Each public header compiles without another before it."""
    for header in sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.h")):
        text = f'#include "{header}"\n'
        result = subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", f"-I{SOURCE}", "-x", "c", "-"],
                                input=text, env=process.environment(), capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{header}: {result.stderr}"


def test_tests_wait_for_events():
    """No sleep in a test or its harness."""
    directory = pathlib.Path(__file__).parent
    pattern = re.compile(r"\btime\.sleep\(|\bfrom time import")
    wrong = [str(path) for path in directory.rglob("*.py") if path != pathlib.Path(__file__)
             and pattern.search(path.read_text())]
    assert not wrong
