# SPDX-License-Identifier: MIT
"""No generation can be started: nginx soon gets 503 instead of waiting, and 200 after the repair."""
import contextlib
import http.client
import signal
import time

import pytest

from harness import fastcgi, nginx, process, words
from harness.wait import DEADLINE, Ended

OUTAGE = r"outage: no generation has been ready for 1 s"
RECOVERED = r"recovered: generation \d+ serves"
SOON = 10.0  # seconds for an answer that waits for nobody; nginx itself would wait 60


@pytest.fixture(params=["tcp", "unix"])
def site(make_site, monkeypatch, request):
    """nginx takes large bodies, too."""
    monkeypatch.setattr(nginx, "CONFIGURATION", nginx.CONFIGURATION.replace(
        "access_log off;", "access_log off;\n    client_max_body_size 16m;"))
    return make_site(request.param)


def break_service(site, holdfast):
    """Its master is killed, its workers, which would serve on, are asked to leave, and no other can start. Returns where
    the log was before: the first start may have been slow enough to be an outage."""
    master = site.main_pid()
    before = holdfast.mark()
    site.break_program()
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Ended(pid)) for pid in process.children(master)]
        with Ended(master) as main:
            signal.pidfd_send_signal(main.fd, signal.SIGKILL)
        holdfast.wait(words.crashed(1))
        for worker in workers:
            signal.pidfd_send_signal(worker.fd, signal.SIGQUIT)
        for worker in workers:
            worker.wait()
    return before


def ask(site, method="GET", body=None):
    """(status, Retry-After, seconds) through nginx."""
    begin = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", site.nginx.port, timeout=DEADLINE)
    with contextlib.closing(connection):
        connection.request(method, "/hello.php", body)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("Retry-After"), time.monotonic() - begin


def assert_turned_away(site, times):
    for _ in range(times):
        status, retry_after, seconds = ask(site)
        assert status == 503
        assert int(retry_after) > 0
        assert seconds < SOON


@pytest.mark.long(31)
@pytest.mark.load
@pytest.mark.parametrize("seconds", [1, pytest.param(30, marks=pytest.mark.matrix)])
def test_an_outage_under_load(site, seconds):
    """It stays broken for a while, with one failing start after another."""
    holdfast = site.holdfast("--busy-after=1s", "--backoff-max=300ms", command=site.command)
    load = site.load()
    begin = time.monotonic()
    broken = break_service(site, holdfast)
    holdfast.wait(OUTAGE, broken)
    outage = time.monotonic()
    while time.monotonic() - begin < seconds:
        holdfast.wait("next start is tried within", holdfast.mark())
    assert_turned_away(site, 50)
    end = time.monotonic()
    # What the load was to send before the end, and sent a little late, is still turned away.
    assert_turned_away(site, 50)
    site.repair_program()
    holdfast.wait(RECOVERED, broken)
    recovered = time.monotonic()
    assert {ask(site)[0] for _ in range(50)} == {200}
    ledger = load.stop()["ledger"]

    kinds = {entry["error"] or entry["status"] for entry in ledger}
    assert kinds == {200, 503}
    # Nobody was turned away before the time was over, and nobody once it served again.
    turned_away = [entry for entry in ledger if entry["status"] == 503]
    assert min(entry["at"] + entry["latency"] for entry in turned_away) >= begin + 0.9
    assert max(entry["at"] for entry in turned_away) <= recovered
    meanwhile = [entry for entry in ledger if outage <= entry["at"] and entry["sent"] <= end]
    assert meanwhile and {entry["status"] for entry in meanwhile} == {503}
    assert max(entry["latency"] for entry in meanwhile) < SOON
    afterwards = [entry for entry in ledger if entry["at"] > recovered]
    assert afterwards and {entry["status"] for entry in afterwards} == {200}
    holdfast.stop()


def test_a_large_post_in_an_outage(site):
    """The answer is complete although nobody reads the body."""
    holdfast = site.holdfast("--busy-after=1s", "--backoff-max=300ms", command=site.command)
    assert ask(site, "POST", b"x" * 5_000_000)[0] == 200
    broken = break_service(site, holdfast)
    holdfast.wait(OUTAGE, broken)
    assert [ask(site, "POST", b"x" * 5_000_000)[0] for _ in range(10)] == [503] * 10
    site.repair_program()
    holdfast.wait(RECOVERED, broken)
    assert ask(site, "POST", b"x" * 5_000_000)[0] == 200
    holdfast.stop()


@pytest.mark.load
def test_a_repair_before_the_outage(site):
    """Clients that waited are answered by the next generation."""
    holdfast = site.holdfast("--busy-after=1min", "--backoff-max=300ms", command=site.command)
    load = site.load()
    break_service(site, holdfast)
    holdfast.wait("next start is tried within 300 ms")
    start = holdfast.mark()
    site.repair_program()
    holdfast.wait(words.ready(r"\d+"), start)
    load.assert_nothing_lost()
    assert not holdfast.lines.find("outage:")
    holdfast.stop()


def test_never_busy(site):
    """With --busy-after=never callers wait, however long it takes."""
    holdfast = site.holdfast("--busy-after=never", "--backoff-max=1s", command=site.command)
    break_service(site, holdfast)
    waiting = [site.get_later("/hello.php") for _ in range(20)]
    holdfast.wait("next start is tried within 800 ms")
    start = holdfast.mark()
    for _ in range(2):
        holdfast.wait("next start is tried within 1 s", start)
        start = holdfast.mark()
    assert not any(answer.done() for answer in waiting)
    site.repair_program()
    assert {answer.get()[0] for answer in waiting} == {200}
    assert not holdfast.lines.find("outage:")
    holdfast.stop()


def test_a_reload_ends_an_outage(site):
    """After a repair there is no need to wait for the next attempt."""
    holdfast = site.holdfast("--busy-after=1s", "--backoff-max=5min", command=site.command)
    broken = break_service(site, holdfast)
    holdfast.wait(OUTAGE, broken)
    assert ask(site)[0] == 503
    result = holdfast.call("reload")
    assert result.returncode == words.EXIT_FAILURE
    assert "libxml2.so.2" in result.stderr
    assert ask(site)[0] == 503
    site.repair_program()
    assert holdfast.call("reload").returncode == 0
    holdfast.wait(RECOVERED, broken)
    assert ask(site)[0] == 200
    holdfast.stop()


def test_the_answerer_that_is_killed_does_no_harm(site):
    """Callers wait again, until --busy-after is over once more, and the service comes back as always."""
    holdfast = site.holdfast("--busy-after=5s", "--backoff-max=5min", command=site.command)
    broken = break_service(site, holdfast)
    holdfast.wait("outage: no generation has been ready for 5 s", broken)
    holdfast.wait("the next start is tried within 6.4 s", broken)  # in the middle of a start it would be back after that
    assert ask(site)[0] == 503
    seen = holdfast.mark()
    helper, = [pid for pid in process.children(holdfast.pid) if "--answer" in process.command_line(pid)]
    with Ended(helper) as answerer:
        signal.pidfd_send_signal(answerer.fd, signal.SIGKILL)
    holdfast.wait("the answerer ended by itself; connections wait in the queue", seen)
    waiting = site.get_later("/hello.php")
    site.repair_program()
    assert holdfast.call("reload").returncode == 0
    assert waiting.get()[0] == 200
    holdfast.stop()


def test_an_answerer_that_hangs_takes_nothing_from_the_service(site):
    """It is stopped just when it should let the listeners go; the next outage would begin after another 4 s."""
    holdfast = site.holdfast("--busy-after=4s", "--backoff-max=5min", command=site.command)
    break_service(site, holdfast)
    holdfast.wait("outage: no generation has been ready for 4 s")
    assert ask(site)[0] == 503
    helper = next(pid for pid in process.children(holdfast.pid) if "--answer" in process.command_line(pid))
    with Ended(helper) as answerer:
        signal.pidfd_send_signal(answerer.fd, signal.SIGSTOP)
        waiting = [site.get_later("/hello.php") for _ in range(3)]
        site.repair_program()
        assert holdfast.call("reload").returncode == 0
        holdfast.wait("the answerer does not close the listeners, and is killed")
        answerer.wait()
    assert {answer.get()[0] for answer in waiting} == {200}
    holdfast.stop()


def test_a_stop_in_an_outage(site):
    holdfast = site.holdfast("--busy-after=1s", "--backoff-max=300ms", command=site.command)
    broken = break_service(site, holdfast)
    holdfast.wait(OUTAGE, broken)
    with fastcgi.connect(site.address):  # and says nothing, so that the answerer is the last to end
        assert ask(site)[0] == 503
        holdfast.stop()
