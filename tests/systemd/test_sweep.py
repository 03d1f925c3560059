# SPDX-License-Identifier: MIT
"""Processes that a dead holdfast left in its unit are ended when the unit is stopped, and only then."""
import concurrent.futures
import contextlib
import http.client
import signal

import pytest

from conftest import DEBIANS_UNIT, masters
from harness import process, systemd
from harness.tools import Load
from harness.wait import DEADLINE, Appearance, Ended
from test_survival import Journal

LEFT = "left in a unit that was stopped"
SWEEP = "holdfast-sweep@php8.2-fpm.service"


def service():
    return [pid for pid in process.pids() if process.command_line(pid).startswith("php-fpm: ")]


def kill_holdfast(unit):
    with Ended(unit.main_pid()) as victim:
        signal.pidfd_send_signal(victim.fd, signal.SIGKILL)
        victim.wait()


@pytest.fixture
def slow(web):
    """The status of a request that takes 3 s and that a worker has begun with."""
    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=DEADLINE)
        connection.request("GET", "/busy.php?ms=3000&mark=begun")
        return connection.getresponse().status

    with concurrent.futures.ThreadPoolExecutor() as threads:
        (web.directory / "marks").chmod(0o777)
        with Appearance(web.directory / "marks" / "begun") as begun:
            answer = threads.submit(ask)
            begun.wait()
        yield answer


@pytest.fixture
def journal():
    opened = Journal()
    yield opened
    opened.close()


@pytest.fixture
def waiting(units, php):
    """Debian's unit, which is started again so late that a stop comes before."""
    units.drop_in(php.name, "[Service]\nRestartSec=100s\n")
    return php


def assert_nothing_is_left(unit):
    for pid in service():
        with contextlib.suppress(ProcessLookupError), Ended(pid) as left:
            left.wait()
    assert not service() and unit.get("ActiveState") in ("inactive", "failed")
    assert unit.get("MainPID") == "0"


def test_a_stop_while_systemd_waits_to_start_it_again(waiting, journal, slow):
    kill_holdfast(waiting)
    journal.wait("Failed with result 'signal'")
    assert waiting.get("SubState") == "auto-restart"
    waiting.stop()
    assert slow.result(DEADLINE) == 200
    assert_nothing_is_left(waiting)
    waiting.start()
    assert len(masters()) == 1


def test_a_stop_that_takes_too_long(units, php, slow):
    units.drop_in(php.name, "[Service]\nTimeoutStopSec=500ms\n")
    php.stop()
    assert php.get("Result") == "timeout"
    assert slow.result(DEADLINE) == 200
    assert_nothing_is_left(php)


def test_a_start_that_comes_again_is_left_alone(php, web, journal):
    load = Load(web.url, rate=100)
    before = [Ended(pid) for pid in masters()]
    swept = systemd.journal(SWEEP).count(LEFT)
    kill_holdfast(php)
    journal.wait(f"Started {DEBIANS_UNIT}")
    php.restart()
    load.assert_nothing_lost()
    assert systemd.Unit(SWEEP).get("ActiveState") == "active"
    assert systemd.journal(SWEEP).count(LEFT) == swept
    for old in before:
        old.wait()
        old.close()
    print(f"killed and restarted with a sweep beside it: {load.result['requests']} requests, 0 failed")
