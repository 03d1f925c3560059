# SPDX-License-Identifier: MIT
"""Many replacements, overlapping and interrupted ones: php-fpm under load loses nothing."""
import contextlib
import signal
import subprocess

import pytest

from harness import process, words
from harness.paths import HOLDFAST
from harness.process import Process, environment
from harness.wait import Ended, readable

pytestmark = pytest.mark.load

ROUNDS = 10


def generations(holdfast):
    """Numbers of those that came to be active, in order."""
    return [int(line.split("generation ")[1].split()[0]) for line in holdfast.lines.find(r"is (ready|active): ")]


@contextlib.contextmanager
def held(pids):
    """The processes by their pidfds."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Ended(pid)) for pid in pids]


def kill(pid):
    with Ended(pid) as process_of_it:
        signal.pidfd_send_signal(process_of_it.fd, signal.SIGKILL)
        process_of_it.wait()


# ---- gentle and at once ----


@pytest.mark.parametrize("how", ["gentle", "at-once"])
@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_reloads(make_site, listen, how):
    site = make_site(listen)
    holdfast = site.holdfast(f"--handover={how}")
    load = site.load()
    for number in range(2, ROUNDS + 2):
        holdfast.reload(number)
    for number in range(1, ROUNDS + 1):
        holdfast.wait(words.gone(number))
    load.assert_nothing_lost()
    assert not holdfast.lines.find("is still there")
    assert process.children(holdfast.pid) == [site.main_pid()]
    holdfast.stop()


@pytest.mark.parametrize("how, stopped", [("gentle", True), ("at-once", False)])
def test_the_old_master_is_stopped_while_its_workers_leave(make_site, how, stopped):
    """Of 100 workers the first leaves long before the last is asked to."""
    site = make_site(children=100)
    holdfast = site.holdfast(f"--handover={how}")
    old = site.main_pid()
    with held(process.children(old)) as workers:
        assert len(workers) == 100
        states = process.States(old)
        holdfast.reload(2)
        if stopped:
            states.wait("T")
            assert sum(worker.alive() for worker in workers) >= 10
        holdfast.wait(words.gone(1))
        assert ("T" in states.seen) == stopped
    assert not holdfast.lines.find("is still there")
    holdfast.stop()


def test_a_gentle_handover_waits_for_a_request(site):
    holdfast = site.holdfast("--handover=gentle")
    old = site.main_pid()
    slow = site.start_slow()
    holdfast.reload(2)
    with held([pid for pid in process.children(old) if pid != slow.worker]) as idle:
        for worker in idle:
            worker.wait()
    assert not slow.done()
    status, body = slow.finish()
    assert (status, int(body.split()[1])) == (200, old)
    holdfast.wait(words.gone(1))
    holdfast.stop()


@pytest.mark.parametrize("moment", ["settling", "retiring"])
def test_a_stop_in_the_middle_of_a_gentle_handover(make_site, moment):
    """No process is left stopped, and the requests under way are still answered."""
    site = make_site(children=100)
    holdfast = site.holdfast("--handover=gentle")
    old = site.main_pid()
    slow = site.start_slow(ms=1500)
    with held(process.children(old)) as workers:
        states = process.States(old)
        holdfast.reload(2)
        if moment == "retiring":
            states.wait("T")
        holdfast.stop()
        assert slow.get()[0] == 200
        assert not any(worker.alive() for worker in workers)
    assert not holdfast.lines.find("is still there")


@pytest.mark.parametrize("moment", ["settling", "retiring"])
def test_a_reload_in_the_middle_of_a_gentle_handover(make_site, moment):
    site = make_site(children=60)
    holdfast = site.holdfast("--handover=gentle")
    load = site.load()
    with held(process.children(site.main_pid())) as workers:
        holdfast.reload(2)
        if moment == "retiring":
            readable([worker.fd for worker in workers], "end of the first worker")
        holdfast.reload(3)
    holdfast.wait(words.gone(1))
    holdfast.wait(words.gone(2))
    load.assert_nothing_lost()
    assert process.children(holdfast.pid) == [site.main_pid()]
    holdfast.stop()


# ---- interrupted by a death ----


@pytest.mark.parametrize("moment", ["settling", "retiring"])
def test_the_old_master_is_killed_in_the_handover(make_site, moment):
    site = make_site(children=60)
    holdfast = site.holdfast("--handover=gentle")
    old = site.main_pid()
    load = site.load()
    with held(process.children(old)) as workers:
        holdfast.reload(2)
        if moment == "retiring":
            readable([worker.fd for worker in workers], "end of the first worker")
        kill(old)
        for worker in workers:
            worker.wait()
    holdfast.wait(words.gone(1))
    load.assert_nothing_lost()
    assert not holdfast.lines.find("crashed")
    assert generations(holdfast) == [1, 2]
    holdfast.stop()


def test_the_new_master_is_killed_in_the_handover(site):
    """The old generation serves: for good if it has not been asked to leave yet, otherwise until the next one is ready."""
    holdfast = site.holdfast("--handover=gentle")
    old = site.main_pid()
    load = site.load()
    holdfast.reload(2)
    new, = set(process.children(holdfast.pid)) - {old}
    with held(process.children(new)) as workers:
        kill(new)
        holdfast.wait(words.crashed(2))
        for worker in workers:
            worker.wait()
    holdfast.wait(words.gone(2))
    if "serves again" in holdfast.wait(rf"generation 1 serves again|{words.ready(3)}"):
        assert site.main_pid() == old
    else:
        holdfast.wait(words.gone(1))
    load.assert_nothing_lost()
    assert process.children(holdfast.pid) == [site.main_pid()]
    holdfast.stop()


def test_a_draining_master_is_killed(site):
    """Its workers finish the requests that they have begun."""
    holdfast = site.holdfast("--handover=at-once")
    old = site.main_pid()
    slow = site.start_slow()
    with held([pid for pid in process.children(old) if pid != slow.worker]) as idle:
        holdfast.reload(2)
        for worker in idle:
            worker.wait()
    kill(old)
    assert not slow.done()
    assert slow.finish()[0] == 200
    holdfast.wait(words.gone(1))
    assert not holdfast.lines.find("crashed")
    holdfast.stop()


# ---- many at the same time ----


def test_a_storm_of_signals(site):
    """1000 reloads are requested; a few are carried out, and the last one starts after the last signal."""
    holdfast = site.holdfast()
    load = site.load()
    for _ in range(1000):
        holdfast.send(signal.SIGHUP)
    # What was asked for before it is made with it or was made.
    result = holdfast.call("reload")
    assert result.returncode == 0, result.stderr
    holdfast.settle()
    numbers = generations(holdfast)
    assert numbers == list(range(1, len(numbers) + 1))
    assert 2 <= len(numbers) <= 6
    for number in numbers[:-1]:
        holdfast.wait(words.gone(number))
    assert process.children(holdfast.pid) == [site.main_pid()]
    assert generations(holdfast) == numbers
    load.assert_nothing_lost()
    holdfast.stop()


def test_many_callers(site):
    """Each gets its answer, and only a few generations are started."""
    holdfast = site.holdfast()
    load = site.load()
    callers = [Process([HOLDFAST, "reload", "--quiet", f"--name={site.name}"], env=environment(), stdin=subprocess.DEVNULL,
                       stderr=subprocess.PIPE) for _ in range(20)]
    problems = []
    for caller in callers:
        problems.append((caller.wait(), caller.popen.stderr.read()))
        caller.popen.stderr.close()
    assert problems == [(0, b"")] * 20
    holdfast.settle()
    numbers = generations(holdfast)
    assert numbers == list(range(1, len(numbers) + 1))
    assert 2 <= len(numbers) <= 9
    for number in numbers[:-1]:
        holdfast.wait(words.gone(number))
    load.assert_nothing_lost()
    holdfast.stop()


@pytest.mark.parametrize("how", ["gentle", "at-once"])
def test_max_draining(site, how):
    """A reload waits for the generation that drains, but no client waits."""
    holdfast = site.holdfast("--max-draining=1", f"--handover={how}")
    first = site.main_pid()
    slow = site.start_slow()
    load = site.load(slow_share=0)
    holdfast.reload(2)
    holdfast.send(signal.SIGHUP)
    holdfast.wait(r"the replacement waits: too many generations are still draining")
    assert not slow.done()
    assert not holdfast.lines.find(words.reloaded(3))
    assert set(process.children(holdfast.pid)) > {first}
    assert len(process.children(holdfast.pid)) == 2
    assert slow.finish()[0] == 200
    holdfast.wait(words.reloaded(3))
    text = holdfast.lines.list
    assert text.index(holdfast.wait(words.gone(1))) < text.index(holdfast.wait(words.reloaded(3)))
    holdfast.wait(words.gone(2))
    load.assert_nothing_lost()
    holdfast.stop()
