# SPDX-License-Identifier: MIT
"""Stop: what is under way is finished, and nothing is left."""
import signal

import pytest

from harness import net, process, words
from harness.paths import PHP_FPM_PLAIN
from harness.wait import Ended

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT]


@pytest.mark.parametrize("number", SIGNALS, ids=["TERM", "INT", "QUIT"])
@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_stop_drains_and_leaves_nothing(make_site, listen, number):
    site = make_site(listen)
    holdfast = site.holdfast()
    slow = site.start_slow(ms=600)
    holdfast.stop(number)
    assert slow.get()[0] == 200


def test_stop_command(site):
    holdfast = site.holdfast()
    slow = site.start_slow(ms=600)
    result = holdfast.call("stop")
    assert result.returncode == 0, result.stderr
    assert slow.get()[0] == 200
    holdfast.stop()


def test_stop_without_notify_leaves_nothing(make_site):
    site = make_site("unix")
    holdfast = site.holdfast(command=[PHP_FPM_PLAIN, "-y", site.configuration_path])
    holdfast.stop()


def test_second_signal_hurries(site):
    holdfast = site.holdfast("--drain-timeout=60s")
    slow = site.start_slow(ms=50000)
    with Ended(slow.worker) as worker:
        # Two kinds: pending signals of one kind merge.
        holdfast.send(signal.SIGTERM)
        holdfast.send(signal.SIGINT)
        worker.wait()
    holdfast.stop()
    assert slow.get()[0] == 502


def test_drain_timeout_ends_what_does_not_end(site):
    holdfast = site.holdfast("--drain-timeout=1s")
    slow = site.start_slow(ms=50000)
    holdfast.stop()
    assert slow.get()[0] == 502


def test_stop_during_a_reload(site):
    holdfast = site.holdfast()
    slow = site.start_slow(ms=600)
    holdfast.send(signal.SIGHUP)
    holdfast.stop()
    assert slow.get()[0] == 200


def test_service_outlives_a_killed_holdfast(site):
    holdfast = site.holdfast()
    master = site.main_pid()
    holdfast.process.stop(signal.SIGKILL)
    assert process.stat(master) and site.get()[0] == 200
    assert process.end_strays() == [master]
    assert not net.listening(site.ports()[0])


def test_a_second_start_after_a_killed_holdfast(make_site):
    """Its runtime directory and its unix path are no obstacle."""
    site = make_site("unix")
    first = site.holdfast()
    first.process.stop(signal.SIGKILL)
    process.end_strays()
    second = site.holdfast()
    assert site.get()[0] == 200
    second.wait(words.ready(1))
    second.stop()
