# SPDX-License-Identifier: MIT
"""Reload and restart under load: nothing is refused, nothing is lost."""
import os
import re
import signal
import time

import pytest

from harness import fastcgi, net, process, words
from harness.paths import PHP_FPM, PHP_FPM_PLAIN
from harness.phpfpm import Pool
from harness.wait import Ended

ROUNDS = 30

PROGRAMS = {"notify": PHP_FPM, "pidfile": PHP_FPM_PLAIN}


@pytest.fixture(params=["tcp", "unix"])
def listen(request):
    return request.param


@pytest.fixture(params=sorted(PROGRAMS))
def program(request):
    return PROGRAMS[request.param]


@pytest.fixture(params=[None, "10s"], ids=["timeout-unset", "timeout-set"])
def served(make_site, listen, program, request):
    """(site, holdfast, load), with slow requests under way."""
    site = make_site(listen, children=8, process_control_timeout=request.param)
    holdfast = site.holdfast(command=[program, "-y", site.configuration_path])
    return site, holdfast, site.load()


def assert_drained_with_slow_requests(load, moments):
    """The rounds did test what they should: slow requests on a generation that had to leave."""
    met = [moment for moment in moments if any(entry["slow"] for entry in load.under_way(moment))]
    assert len(met) == len(moments)


def served_again(site):
    """Its answer comes after all that was queued before it, so a slow machine is never more than one round behind."""
    assert site.get()[0] == 200


def masters(load):
    return {entry["body"].split()[1] for entry in load.stop()["ledger"]}


@pytest.mark.load
@pytest.mark.matrix
def test_reload(served):
    site, holdfast, load = served
    moments = []
    for number in range(2, ROUNDS + 2):
        moments.append(time.monotonic())
        holdfast.reload(number)
        served_again(site)
    for number in range(1, ROUNDS + 1):
        holdfast.wait(words.gone(number))
    last = site.main_pid()
    load.assert_nothing_lost()
    assert_drained_with_slow_requests(load, moments)
    assert len(masters(load) | {str(last)}) >= ROUNDS // 2
    assert len(process.children(holdfast.pid)) == 1
    holdfast.stop()


@pytest.mark.load
@pytest.mark.matrix
def test_restart(served):
    site, holdfast, load = served
    moments = []
    before = site.main_pid()
    for number in range(2, ROUNDS + 2):
        moments.append(time.monotonic())
        holdfast.restart()
        holdfast.wait(words.ready(number))
        assert holdfast.lines.find(words.gone(number - 1))
        served_again(site)
    assert site.main_pid() != before
    load.assert_nothing_lost()
    assert_drained_with_slow_requests(load, moments)
    holdfast.stop()


def test_restart_is_stop_first(site):
    holdfast = site.holdfast()
    with Ended(site.main_pid()) as old:
        holdfast.restart()
        assert not old.alive()
    holdfast.wait(words.ready(2))
    text = holdfast.lines.text()
    assert re.search(words.gone(1), text).start() < re.search(words.ready(2), text).start()


def test_reload_overlaps(site):
    site.configure(process_control_timeout="10s")
    holdfast = site.holdfast()
    old = site.main_pid()
    slow = site.start_slow()
    idle = [Ended(pid) for pid in process.children(old) if pid != slow.worker]
    holdfast.reload(2)
    for worker in idle:
        worker.wait()
        worker.close()
    # The old generation still has the request, the new one serves.
    assert process.stat(old) and not slow.done()
    assert site.main_pid() != old
    status, body = slow.finish()
    assert (status, int(body.split()[1])) == (200, old)
    holdfast.wait(words.gone(1))
    assert process.stat(old) is None


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2], ids=["HUP", "USR2"])
def test_reload_by_signal(site, number):
    holdfast = site.holdfast()
    old = site.main_pid()
    holdfast.replace(2, number)
    assert site.main_pid() != old


def test_reload_command_waits_for_the_new_generation(site):
    holdfast = site.holdfast()
    old = site.main_pid()
    result = holdfast.call("reload")
    assert result.returncode == 0, result.stderr
    # Both are answering still, or the new one only.
    assert len(process.children(holdfast.pid)) in (1, 2)
    holdfast.wait(words.reloaded(2))
    holdfast.wait(words.gone(1))
    assert site.main_pid() != old


def test_reload_takes_new_settings(site):
    holdfast = site.holdfast()
    site.pools[0].options["env[DEPLOY]"] = "second"
    site.configure()
    holdfast.replace(2)
    assert site.get("/env.php?names=DEPLOY") == (200, "DEPLOY=second\n")


def test_reload_adds_and_removes_a_pool(make_site):
    first, second = (f"127.0.0.1:{net.free_port()}" for _ in range(2))
    site = make_site(pools=[Pool(first, children=2)])
    holdfast = site.holdfast()
    site.pools.append(Pool(second, name="other", children=2))
    site.configure()
    holdfast.replace(2)
    assert fastcgi.request(second, str(site.root / "hello.php"))[1].startswith("hello ")
    port = site.ports()[1]
    del site.pools[1]
    site.configure()
    holdfast.replace(3)
    assert fastcgi.request(first, str(site.root / "hello.php"))[1].startswith("hello ")
    holdfast.settle()
    assert not net.listening(port)
    holdfast.stop()


@pytest.mark.long(15)
def test_nothing_piles_up(make_site):
    """Descriptors, of holdfast and of a generation, are as many after many replacements as after one. Each is over before
    the next begins: a side is bound for each generation that is not gone."""
    site = make_site(children=1)
    holdfast = site.holdfast()

    def count(number):
        holdfast.wait(words.gone(number - 1))
        site.notify.drain()  # what does not fit there waits on a descriptor of its own
        with holdfast.settled():
            return len(process.descriptors(holdfast.pid)), len(process.descriptors(site.main_pid()))

    holdfast.reload(2)
    first = count(2)
    for number in range(3, 13):
        holdfast.reload(number)
        holdfast.wait(words.gone(number - 1))
    assert count(12) == first
    assert len(os.listdir(holdfast.runtime)) <= 8


@pytest.mark.parametrize("verb", ["reload", "restart"])
def test_a_master_that_is_stopped(make_site, verb):
    """By a debugger or a shell: it is continued, as systemd does, and leaves like any other."""
    site = make_site(children=2)
    holdfast = site.holdfast()
    with Ended(site.main_pid()) as master:
        signal.pidfd_send_signal(master.fd, signal.SIGSTOP)
        result = holdfast.call(verb)
        assert result.returncode == 0, result.stderr
        master.wait()
    holdfast.wait(words.gone(1))
    assert "is still there" not in holdfast.lines.text() and site.get()[0] == 200
    holdfast.stop()
