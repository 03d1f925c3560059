# SPDX-License-Identifier: MIT
"""holdfast replaces its own program: sockets, generations and requests are not affected."""
import os
import shutil
import signal
import stat
import subprocess
import time

import pytest
import shlex

from harness import process, words
from harness.holdfast import call
from harness.paths import HOLDFAST
from harness.process import Process, environment
from harness.wait import DEADLINE, Appearance

UPGRADED = r"upgrade: this is holdfast"
FAILED = r"upgrade failed: "


class Program:
    """A holdfast that is installed where another one can be put in its place."""

    def __init__(self, site):
        self.path = site.directory / "holdfast"
        self.install()

    def put(self, write):
        """As a package manager does: the old file goes on existing for processes that run it."""
        new = self.path.with_suffix(".new")
        write(new)
        new.chmod(0o755)
        new.rename(self.path)

    def install(self):
        self.put(lambda path: shutil.copyfile(HOLDFAST, path))

    def script(self, text):
        self.put(lambda path: path.write_text(f"#!/bin/sh\n{text}\n"))


@pytest.fixture
def program(site):
    return Program(site)


@pytest.fixture
def holdfast(site, program):
    return site.holdfast(wrapper=(program.path,))


def upgrade(holdfast, program):
    since = holdfast.mark()
    program.install()
    result = holdfast.call("upgrade")
    assert result.returncode == 0, result.stderr + holdfast.lines.text()
    assert result.stderr == ""
    holdfast.wait(UPGRADED, since)


def assert_same_program(holdfast, program):
    assert os.path.samefile(f"/proc/{holdfast.pid}/exe", program.path)


def count_descriptors(site, holdfast):
    site.notify.drain()  # or it waits, with one descriptor more
    with holdfast.settled():
        return len(process.descriptors(holdfast.pid))


@pytest.mark.load
@pytest.mark.parametrize("rounds", [5, pytest.param(100, marks=pytest.mark.matrix)])
def test_under_load(site, holdfast, program, rounds):
    load = site.load()
    master = site.main_pid()
    for _ in range(rounds):
        upgrade(holdfast, program)
        assert_same_program(holdfast, program)
    before = count_descriptors(site, holdfast)
    upgrade(holdfast, program)
    end = time.monotonic() + DEADLINE
    while count_descriptors(site, holdfast) > before:  # the caller may be hanging up still
        assert time.monotonic() < end, process.descriptors(holdfast.pid)
    assert site.main_pid() == master
    holdfast.reload(2)
    holdfast.wait(words.gone(1))
    load.assert_nothing_lost()
    assert len(process.children(holdfast.pid)) == 1
    holdfast.stop()


def test_unix_path_is_still_ours(make_site):
    site = make_site("unix")
    program = Program(site)
    holdfast = site.holdfast(wrapper=(program.path,))
    upgrade(holdfast, program)
    assert site.get()[0] == 200
    holdfast.stop()


def test_while_a_generation_drains(site, holdfast, program):
    slow = site.start_slow(1500)
    holdfast.reload(2)
    upgrade(holdfast, program)
    assert slow.get()[0] == 200
    holdfast.wait(words.gone(1))
    holdfast.reload(3)
    holdfast.wait(words.gone(2))
    assert len(process.children(holdfast.pid)) == 1


def test_crash_after_it(site, holdfast, program):
    """A child stays a child: it is reaped, and its exit status is known."""
    upgrade(holdfast, program)
    os.kill(site.main_pid(), signal.SIGKILL)
    holdfast.wait(r"generation 1 crashed: .* was killed by signal 9 \(SIGKILL\)")
    holdfast.wait(words.ready(2))
    assert site.get()[0] == 200


def test_waits_for_a_reload(site, holdfast, program):
    program.install()
    site.configuration_path.touch()
    holdfast.send(signal.SIGHUP)
    result = holdfast.call("upgrade")
    assert result.returncode == 0, result.stderr
    holdfast.wait(words.reloaded(2))
    holdfast.wait(UPGRADED)


def test_no_wait(holdfast, program):
    result = holdfast.call("upgrade", "--no-wait")
    assert (result.returncode, result.stderr) == (0, "")
    holdfast.wait(UPGRADED)


def test_supervisor_above_is_told(site, holdfast, program):
    upgrade(holdfast, program)
    site.notify.wait("RELOADING=1", holdfast.process.ended)
    site.notify.wait("READY=1", holdfast.process.ended)


def broken_elf(path):
    shutil.copyfile(HOLDFAST, path)
    with open(path, "r+b") as stream:
        stream.truncate(4096)


BROKEN = {
    "missing": (lambda program: program.path.unlink(), "No such file"),
    "not executable": (lambda program: program.path.chmod(stat.S_IRUSR), "Permission denied|cannot be"),
    "no program": (lambda program: program.put(lambda path: path.write_text("?")), "Exec format error"),
    "truncated": (lambda program: program.put(broken_elf), "killed by signal|cannot be|status"),
    "another one": (lambda program: program.put(lambda path: shutil.copyfile("/bin/true", path)), "is it holdfast?"),
    "fails": (lambda program: program.script("echo cannot >&2; exit 3"), "status 3: cannot"),
    "dies": (lambda program: program.script("kill -SEGV $$"), "killed by signal 11"),
    "too old": (lambda program: program.script("echo unknown option --self-test >&2; exit 2"), "unknown option"),
}


@pytest.mark.load
def test_broken_programs(site, holdfast, program):
    load = site.load()
    for how, (breaks, why) in BROKEN.items():
        since = holdfast.mark()
        breaks(program)
        result = holdfast.call("upgrade")
        assert result.returncode == 1, how
        assert result.stderr.startswith("holdfast: upgrade failed: "), result.stderr
        holdfast.wait(f"{FAILED}.*({why})", since)
        program.path.unlink(missing_ok=True)
        program.install()
    upgrade(holdfast, program)
    load.assert_nothing_lost()


def test_unsuitable_options(site, program):
    """A newer holdfast that no longer knows an option says so before anything has happened."""
    holdfast = site.holdfast(wrapper=(program.path,))
    program.script(f"""first=$1; shift 2; exec {shlex.quote(str(HOLDFAST))} "$first" run --no-such-option "$@" """)
    result = holdfast.call("upgrade")
    assert result.returncode == 1
    assert "--no-such-option" in result.stderr


def test_not_running():
    result = call("upgrade", "--name=nobody-of-that-name")
    assert result.returncode == words.EXIT_NOT_RUNNING


@pytest.mark.load
def test_it_waits_for_a_trial(site, program):
    """The generation on trial is switched to first, and nothing of it is lost."""
    mark, gate = site.directory / "tried", site.directory / "gate"
    os.mkfifo(gate)
    gate.chmod(0o666)
    site.directory.chmod(0o777)
    (site.root / "healthz.php").write_text(f'<?php touch("{mark}"); fopen("{gate}", "r"); echo "well";')
    holdfast = site.holdfast("--canary=fastcgi:/healthz.php", f"--document-root={site.root}", "--log-level=debug",
                             wrapper=(program.path,))
    load = site.load()
    with Appearance(mark) as asked:
        callers = [Process([HOLDFAST, "reload", f"--name={site.name}"], env=environment(), stdin=subprocess.DEVNULL)]
        asked.wait()
    since = holdfast.mark()
    callers.append(Process([HOLDFAST, "upgrade", f"--name={site.name}"], env=environment(), stdin=subprocess.DEVNULL))
    holdfast.wait("event request ", since)
    assert not holdfast.lines.find(UPGRADED)
    os.close(os.open(gate, os.O_WRONLY))  # who waits for that may have gone before a word
    assert [caller.wait() for caller in callers] == [0, 0]
    holdfast.wait(UPGRADED)
    assert holdfast.lines.text().index("generation 2 is active") < holdfast.lines.text().index("upgrade: this is holdfast")
    load.assert_nothing_lost()
    holdfast.stop()
