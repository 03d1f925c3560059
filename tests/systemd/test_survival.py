# SPDX-License-Identifier: MIT
"""Killing holdfast, the php-fpm master, or both, and restarts, under load, with Debian's unit and the drop-in."""
import pathlib
import signal
import subprocess

import pytest

from conftest import DEBIANS_SOCKET, DEBIANS_UNIT, masters, wait_until_drained
from harness import systemd
from harness.process import environment
from harness.tools import Load
from harness.wait import Ended


class Journal:
    """What the unit logs from now on."""

    def __init__(self):
        self.process = subprocess.Popen(systemd.following(f"--unit={DEBIANS_UNIT}"), text=True, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, env=environment())

    def wait(self, text):
        assert any(text in line for line in self.process.stdout), text

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def journal():
    opened = Journal()
    yield opened
    opened.close()


def kill(pid):
    with Ended(pid) as victim:
        signal.pidfd_send_signal(victim.fd, signal.SIGKILL)
        victim.wait()


def die(php, journal, *order):
    for who in order:
        kill(php.main_pid() if who == "holdfast" else masters()[0])
        if who == "holdfast":
            journal.wait(f"Started {DEBIANS_UNIT}")  # by systemd, again


@pytest.mark.parametrize("order", [("holdfast",), ("master",), ("holdfast", "master"), ("master", "holdfast")],
                         ids="-".join)
def test_nothing_is_lost_when_they_are_killed(php, web, journal, order):
    load = Load(web.url, rate=200)
    before = [Ended(pid) for pid in masters()]
    die(php, journal, *order)
    php.reload()
    for old in before:
        old.wait()
        old.close()
    wait_until_drained()
    load.assert_nothing_lost()
    print(f"killed {' and '.join(order)}: {load.result['requests']} requests, 0 failed")
    assert len(masters()) == 1
    php.stop()
    assert php.get("Result") == "success"
    assert not masters()
    # the path of a socket that systemd keeps is never removed: it is bound anew
    php.start()
    assert len(masters()) == 1


def test_a_restart_keeps_the_socket(php, web, journal):
    load = Load(web.url, rate=200)
    inode = pathlib.Path(DEBIANS_SOCKET).stat().st_ino
    for _ in range(2):
        php.restart()
    load.assert_nothing_lost()
    print(f"2 restarts: {load.result['requests']} requests, 0 failed")
    assert pathlib.Path(DEBIANS_SOCKET).stat().st_ino == inode
    assert len(masters()) == 1
