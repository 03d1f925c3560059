# SPDX-License-Identifier: MIT
"""A master that dies while its workers live: they go on serving until the next generation is ready, and then leave."""
import os
import signal

import pytest

from harness import process, words
from harness.manager import killed
from harness.paths import PHP_FPM
from harness.wait import Appearance, Ended

pytestmark = pytest.mark.load


class Gate:
    """php-fpm in site starts when it is told to, and not before."""

    def __init__(self, site):
        self.mark, self.fifo = site.directory / "waits", site.directory / "gate"
        os.mkfifo(self.fifo)
        program = site.directory / "waiting"
        program.write_text(f'#!/bin/sh\n: >"{self.mark}"\nread go <"{self.fifo}"\nexec {PHP_FPM} "$@"\n')
        program.chmod(0o755)
        site._turn(program)

    def open(self):
        """The one that has reached it goes on."""
        self.fifo.write_text("go\n")


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_workers_serve_on_until_the_next_is_ready(make_site, kind):
    site = make_site(kind, children=4)
    holdfast = site.holdfast(command=site.command)
    master = site.main_pid()
    workers = process.children(master)
    ends = [Ended(pid) for pid in workers]
    load = site.load()
    gate = Gate(site)
    with Appearance(gate.mark) as started:
        killed(master)
        started.wait()
    holdfast.wait(words.crashed(1) + ".*; its workers serve on until the next one is ready")
    for _ in range(20):
        status, body = site.get()
        assert status == 200 and int(body.split()[2]) in workers
    assert all(worker.alive() for worker in ends)
    gate.open()
    holdfast.wait(words.ready(2))
    for worker in ends:
        with worker:
            worker.wait()
    assert site.main_pid() not in (master, holdfast.pid)
    site.repair_program()
    holdfast.replace(3)
    load.assert_nothing_lost()
    holdfast.stop()


def test_nobody_is_left(site):
    """The next one is started at once, on the same side."""
    holdfast = site.holdfast()
    master = site.main_pid()
    workers = process.children(master)
    os.kill(master, signal.SIGSTOP)
    for pid in [*workers, master]:
        killed(pid)
    holdfast.wait(words.ready(2))
    assert site.get()[0] == 200
    holdfast.replace(3)
    holdfast.stop()


def test_no_next_one_can_be_started(make_site):
    """The messages are true: there still is a worker that serves."""
    site = make_site(children=2)
    holdfast = site.holdfast(command=site.command)
    site.break_program()
    killed(site.main_pid())
    holdfast.wait("the workers of generation 1 serve on without their main process; the next start is tried within")
    assert site.get()[0] == 200
    assert not holdfast.lines.find("no generation serves")
    site.repair_program()
    holdfast.wait(words.gone(1))
    assert site.get()[0] == 200
    holdfast.stop()


def keepers(master):
    return [pid for pid in process.children(master) if process.command_line(pid).startswith("php-fpm: pool holdfast-keep-")]


def test_nobody_is_left_but_who_keeps_the_cache(site):
    """The process that lists the opcode cache serves no requests, so the next generation is started at once."""
    holdfast = site.holdfast()
    master = site.main_pid()
    [keeper] = keepers(master)
    workers = [pid for pid in process.children(master) if pid != keeper]
    os.kill(master, signal.SIGSTOP)
    with Ended(keeper) as kept:
        for pid in [*workers, master]:
            killed(pid)
        holdfast.wait(words.ready(2))
        kept.wait()
    assert not holdfast.lines.find("serve on")
    assert site.get()[0] == 200
    holdfast.stop()


def test_the_last_worker_ends_before_the_next_is_ready(make_site):
    """Then nobody serves, and the log does not claim otherwise."""
    site = make_site(children=2)
    holdfast = site.holdfast(command=site.command)
    master = site.main_pid()
    [keeper] = keepers(master)
    workers = [pid for pid in process.children(master) if pid != keeper]
    gate = Gate(site)
    with Appearance(gate.mark) as started, Ended(keeper) as kept:
        killed(master)
        started.wait()
        for pid in workers:
            killed(pid)
        holdfast.wait(words.gone(1))
        kept.wait()
    gate.open()
    holdfast.wait(words.ready(2))
    assert site.get()[0] == 200
    site.repair_program()
    holdfast.stop()
