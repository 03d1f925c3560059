"""The directions between the layers, and the purity of the core."""
import pathlib
import re
import subprocess

import pytest

from harness import process
from harness.paths import LIBRARIES, SOURCE

pytestmark = pytest.mark.plain

MAY_INCLUDE = {
    "base": {"base"},
    "core": {"base", "core"},
    "sys": {"base", "sys"},
    "daemon": {"base", "core", "sys", "daemon"},
    "cli": {"base", "core", "daemon", "cli"},
}

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
EXCEPTIONS = {("sys/spawn.c", "kill("), ("daemon/capture.c", "kill(")}
LOGS = re.compile(r"\b(hf_log(?:_lines|_setup)?|sd_journal_\w+|syslog|vsyslog|perror|printf|vprintf|puts|fprintf|vfprintf|dprintf)\s*\(")


def code(text):
    """The text without comments and without what is in quotes."""
    return COMMENT_OR_STRING.sub(lambda match: '""' if match.group().startswith('"') else " ", text)


def sources(layer):
    return sorted(path for path in (SOURCE / layer).rglob("*.[ch]"))


def includes(text):
    """[(own, name)] of a file's text."""
    return [(kind == '"', name) for kind, name in INCLUDE.findall(text)]


def wrong_directions(layer, text):
    return [name for own, name in includes(text) if own and name.split("/")[0] not in MAY_INCLUDE[layer]]


def impure_includes(text):
    return [name for own, name in includes(text) if not own and name in IMPURE_HEADERS]


@pytest.mark.parametrize("layer", sorted(MAY_INCLUDE))
def test_include_directions(layer):
    wrong = {str(path): found for path in sources(layer) if (found := wrong_directions(layer, path.read_text()))}
    assert not wrong
    assert sources(layer), f"src/{layer} is empty"


def test_core_includes_no_system_call():
    wrong = {str(path): found for path in sources("core") if (found := impure_includes(path.read_text()))}
    assert not wrong


def test_a_wrong_include_is_seen():
    assert wrong_directions("core", '#include "sys/listener.h"\n') == ["sys/listener.h"]
    assert wrong_directions("sys", '# include "core/address.h"\n') == ["core/address.h"]
    assert wrong_directions("cli", '#include "sys/owner.h"\n') == ["sys/owner.h"]
    assert wrong_directions("core", '#include "base/text.h"\n#include <string.h>\n') == []
    assert impure_includes("#include <time.h>\n#include <string.h>\n") == ["time.h"]


def nm(*arguments):
    shown = subprocess.run(["nm", *map(str, arguments)], env=process.environment(), check=True, capture_output=True,
                           text=True).stdout
    return {line.split()[-1].partition("@")[0] for line in shown.splitlines() if len(line.split()) > 1}


@pytest.fixture
def built_libraries():
    libraries = LIBRARIES / "libcore.a", LIBRARIES / "libbase.a"
    for library in libraries:
        if not library.exists():
            pytest.fail(f"{library} is not built", pytrace=False)
    return libraries


def test_core_is_pure(built_libraries):
    core, base = built_libraries
    undefined = nm("-u", core) - nm("--defined-only", core) - nm("--defined-only", base)
    undefined = {name for name in undefined if not name.startswith(("__asan_", "__ubsan_"))}
    assert undefined <= PURE_SYMBOLS, undefined - PURE_SYMBOLS


def test_an_impure_symbol_is_seen(built_libraries):
    _, base = built_libraries
    assert not nm("-u", base) <= PURE_SYMBOLS


def test_machine_allocates_nothing(built_libraries):
    core, _ = built_libraries
    shown = subprocess.run(["nm", "-A", "-u", core], env=process.environment(), check=True, capture_output=True, text=True)
    machine = {line.split()[-1] for line in shown.stdout.splitlines() if "machine" in line.split(" U ")[0]}
    assert machine, "no object of the machine"
    assert not {name for name in machine if name.startswith(("hf_text", "hf_memory", "malloc", "calloc", "realloc"))}


@pytest.mark.parametrize("rule", sorted(NEVER))
def test_never_anywhere(rule):
    found = [(str(path.relative_to(SOURCE)), match.group()) for path in sorted(SOURCE.rglob("*.[ch]"))
             for match in NEVER[rule].finditer(code(path.read_text()))]
    wrong = [place for place in found if place not in EXCEPTIONS or found.count(place) > 1]
    assert not wrong


def test_only_daemon_and_cli_log():
    wrong = [f"{path}: {match.group()}" for layer in ("base", "core", "sys") for path in sources(layer)
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
