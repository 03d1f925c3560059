# SPDX-License-Identifier: MIT
"""Everything made from the option table: completions in real shells, and manuals that name every option."""
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import time

import pytest

from harness import process
from harness.paths import HOLDFAST, LIBRARIES, SOURCE
from harness.process import environment
from harness.wait import DEADLINE

COMPLETIONS = LIBRARIES / "completions"


def table():
    """{(verb, option): may it stand in a file?} of the option table."""
    made = subprocess.run([COMPLETIONS / "generate"], input="@list@\n", env=process.environment(), check=True,
                          capture_output=True, text=True).stdout
    return {(verb, option): place == "file" for verb, option, place in map(str.split, made.splitlines())}


def options_of(verb):
    return {option for other, option in table() if other == verb}


def bash(line, directory="/"):
    """What bash offers at the end of the line."""
    script = """
        source "$1" || exit
        COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=($2) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _holdfast
        printf '%s\\n' "${COMPREPLY[@]}" """
    run = subprocess.run(["bash", "-u", "-c", script, "bash", COMPLETIONS / "holdfast", line], cwd=directory,
                         env=process.environment(), capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return set(run.stdout.split())


def names(offered):
    return {word.removeprefix("--").removesuffix("=") for word in offered}


def test_bash_offers_verbs():
    offered = bash("holdfast ")
    assert {verb for verb, _ in table()} <= offered and {"--help", "--version"} <= offered
    assert bash("holdfast relo") == {"reload"}


@pytest.mark.parametrize("verb", ["run", "exec", "check", "reload", "stop"])
def test_bash_offers_the_options_of_a_verb(verb):
    assert names(bash(f"holdfast {verb} --")) == options_of(verb)
    assert bash(f"holdfast {verb} --nam") == {"--name="}


def test_bash_offers_values(site, tmp_path):
    (tmp_path / "php.conf").touch()
    (tmp_path / "php.d").mkdir()
    assert bash("holdfast run --handover=") == {"auto", "switch", "gentle", "at-once"}
    assert bash("holdfast run --log-level w") == {"warning"}
    assert bash("holdfast run --config=php", tmp_path) == {"php.conf", "php.d"}
    assert bash("holdfast run --directory=php", tmp_path) == {"php.d"}
    assert bash("holdfast run --drain-timeout=") == set()


def test_bash_offers_the_instances_that_run(site):
    holdfast = site.holdfast("--listen=none", "--ready=delay:10ms", command=["/bin/sleep", "infinity"])
    assert bash(f"holdfast reload --name={site.name[:-1]}") == {site.name}
    holdfast.stop()
    assert bash(f"holdfast reload --name={site.name[:-1]}") == set()


def test_bash_offers_commands_behind_the_options(tmp_path):
    (tmp_path / "server.conf").touch()
    for line in ("holdfast run basenam", "holdfast run --listen=127.0.0.1:80 -- basenam",
                 "holdfast run --log-level error basenam", "holdfast run --no-new-privileges basenam"):
        assert bash(line) == {"basename"}, line
    assert bash("holdfast run -- basename serv", tmp_path) == {"server.conf"}


class Zsh:
    """An interactive zsh without anybody's configuration, on a terminal of its own."""

    def __init__(self, directory, completions):
        master, slave = pty.openpty()
        self.fd = master
        self.process = process.Process(["zsh", "-f", "-i"], stdin=slave, stdout=slave, stderr=slave, cwd=directory,
                                       start_new_session=True,
                                       env=process.environment(TERM="dumb", COLUMNS="200", THEIRS=str(completions)))
        os.close(slave)

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self, pattern):
        seen, end = "", time.monotonic() + DEADLINE
        while not re.search(pattern, seen):
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"{pattern!r} is not in {seen!r}"
            seen += os.read(self.fd, 65536).decode("utf-8", "replace")
        return seen

    def close(self):
        self.process.stop(signal.SIGKILL)
        os.close(self.fd)


@pytest.fixture
def zsh(tmp_path):
    completions = tmp_path / "a blank ä"
    completions.symlink_to(COMPLETIONS)
    shell = Zsh(tmp_path, completions)
    try:
        shell.type("PS1='ready> '; fpath=($THEIRS $fpath); autoload -Uz compinit; compinit -u -D; "
                   "unsetopt zle_bracketed_paste; echo is $((40 + 2))\n")
        shell.wait(r"is 42")
        yield shell
    finally:
        shell.close()


@pytest.mark.parametrize("typed, shown", [
    ("holdfast relo", "holdfast reload "),
    ("holdfast run --handof", "--handoff="),
    ("holdfast run --handover=g", "--handover=gentle"),
    ("holdfast stop --no", "--no-wait"),
    ("holdfast run --log-level=error basena", "basename"),
])
def test_zsh_completes(zsh, typed, shown):
    zsh.type(f"{typed}\t")
    zsh.wait(re.escape(shown.strip()))


@pytest.mark.plain
def test_the_manual_names_every_option_and_no_other():
    text = (SOURCE / "man" / "holdfast.1.scd").read_text()
    headed = {name for line in re.findall(r"^(\*-.*)$", text, re.MULTILINE) for name in re.findall(r"--([a-z-]+)\*", line)}
    assert headed == {option for _, option in table()}
    mentioned = set(re.findall(r"\*--([a-z-]+)", text))
    # a word for any, what holdfast calls itself with, and another program's
    assert mentioned - headed == {"option", "resume", "self-test", "system-call-filter"}


@pytest.mark.plain
def test_each_message_of_the_manual_is_one_of_holdfasts():
    text = (SOURCE / "man" / "holdfast.1.scd").read_text().partition("# TROUBLESHOOTING\n")[2].partition("\n# ")[0]
    messages = [message.replace("\\", "") for message in re.findall(r'^"(.*)"$', text, re.MULTILINE)]
    assert len(messages) > 12
    sources = "".join(path.read_text() for path in SOURCE.rglob("*.c"))
    strings = re.sub(r'"\s*"', "", sources)  # pieces of one literal
    for message in messages:
        assert message in strings, message


@pytest.mark.plain
def test_the_examples_of_the_manual_are_good_command_lines():
    text = (SOURCE / "man" / "holdfast.1.scd").read_text().partition("# EXAMPLES\n")[2].partition("\n# ")[0]
    lines = re.findall(r"^\t?(holdfast .*)$", text.replace("\\\\++\n", "").replace("++\n", "\n"), re.MULTILINE)
    assert len(lines) >= 10
    for line in lines:
        words = shlex.split(line.replace(" -- ", " --version -- "))
        result = subprocess.run([HOLDFAST, *words[1:], *([] if "--version" in words else ["--version"])],
                                env=environment(), capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{line}: {result.stderr}"


@pytest.mark.plain
def test_the_manual_of_the_file_names_what_may_stand_there():
    made = (LIBRARIES / "man" / "holdfast.conf.5").read_text()
    section = made.partition(".SH OPTIONS")[2].partition(".SH EXAMPLES")[0].replace("\\-", "-")
    headed = re.findall(r"^\\fB([a-z-]+)\\fR", section, re.MULTILINE)
    assert len(headed) == len(set(headed))
    assert set(headed) == {option for (_, option), in_file in table().items() if in_file}
