# SPDX-License-Identifier: MIT
"""`holdfast hold` and `release`: new connections wait in the queue, for a time, and are answered with 503 from then on."""
import http.client
import json
import os
import re
import signal
import socket
import time

import pytest

from harness import words
from harness.manager import ManagedHoldfast
from harness.paths import HELPERS, PYTHON
from harness.wait import DEADLINE

SERVER = [PYTHON, HELPERS / "listen_fds_server.py"]
HELD = r"new connections wait, for at most \S+( \S+)?, until `holdfast release`"
OVER = r"connections are not held any longer: they are answered with 503 until `holdfast release`"
RELEASED = r"new connections are served again, and (\d+) that waited (is|are) passed on"


@pytest.fixture(params=["tcp", "unix"])
def kind(request):
    return request.param


@pytest.fixture
def held(make_site, kind):
    """A site whose connections are held, and its holdfast."""
    site = make_site(kind)
    holdfast = site.holdfast("--warm=none")
    assert site.get()[0] == 200
    hold(holdfast)
    return site, holdfast


def done(result):
    assert result.returncode == 0, result.stderr
    return result


def hold(holdfast, timeout="10m"):
    """For longer than any test takes on a busy machine, unless the test is about that."""
    return done(holdfast.call("hold", f"--timeout={timeout}"))


def release(holdfast):
    return done(holdfast.call("release"))


def refused(result, why):
    assert result.returncode == words.EXIT_FAILURE and re.search(why, result.stderr), result.stderr


def status(holdfast):
    return json.loads(holdfast.call("status", "--json").stdout)


def wait_for_queue(holdfast, depth):
    """Until so many wait at the first listener."""
    end = time.monotonic() + DEADLINE
    while status(holdfast)["listeners"][0]["depth"] < depth:
        assert time.monotonic() < end, f"{depth} connections never waited"


def wait_later(site, holdfast, depth=1):
    """A request that waits."""
    answer = site.get_later("/hello.php")
    wait_for_queue(holdfast, depth)
    assert not answer.done()
    return answer


def retry_after(site):
    """(status, Retry-After) through nginx."""
    connection = http.client.HTTPConnection("127.0.0.1", site.nginx.port, timeout=DEADLINE)
    connection.request("GET", "/hello.php")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.getheader("Retry-After")


@pytest.mark.load
def test_under_load(make_site, kind):
    """Nothing fails: requests under way are finished, new ones wait, and each gets one answer afterwards."""
    site = make_site(kind)
    holdfast = site.holdfast()
    load = site.load(rate=60)
    began = time.monotonic()
    done(holdfast.call("hold"))  # for 30 s
    wait_for_queue(holdfast, 120)  # two seconds of it
    assert time.monotonic() - began < DEADLINE
    text = holdfast.call("status").stdout
    assert re.search(r"\nNew connections wait, for \d+ seconds? more at most, until `holdfast release`\n", text), text
    assert re.search(r"\nholdfast_held_until_timestamp_seconds\{[^}]*\} 1\d+\.", holdfast.call("metrics").stdout)
    release(holdfast)
    assert int(re.search(RELEASED, holdfast.wait(RELEASED)).group(1)) >= 120
    hold(holdfast)
    wait_for_queue(holdfast, 20)
    release(holdfast)
    load.assert_nothing_lost(140)
    facts = status(holdfast)
    assert facts["held_until"] is None and facts["late_connections"] == 0
    assert [event["name"] for event in facts["events"] if event["name"] in ("held", "released")] == ["held", "released"] * 2
    holdfast.replace(2)
    assert site.get()[0] == 200
    holdfast.stop()
    assert not [name for name in os.listdir(site.directory) if name.startswith(".fpm.sock")]


@pytest.mark.load
def test_held_again_at_once(make_site, kind):
    """Connections that are being passed on are neither lost nor cut off when the next hold begins."""
    site = make_site(kind)
    holdfast = site.holdfast()
    load = site.load(rate=60)
    for _ in range(10):
        hold(holdfast)
        wait_for_queue(holdfast, 10)
        release(holdfast)
        hold(holdfast)
        release(holdfast)
    load.assert_nothing_lost()
    holdfast.stop()


def test_the_time_is_over(make_site, kind):
    """Waiting and new connections are answered with 503 until the release; a second hold makes new ones wait again."""
    site = make_site(kind)
    holdfast = site.holdfast("--warm=none")
    waiting = site.get_later("/hello.php") if hold(holdfast, "200ms") else None
    holdfast.wait(OVER)
    assert waiting.get()[0] == 503
    code, seconds = retry_after(site)
    assert code == 503 and int(seconds) > 0
    facts = status(holdfast)
    assert facts["held_until"] <= time.time() and "hold-over" in [event["name"] for event in facts["events"]]
    assert "\nNew connections are refused until `holdfast release`" in holdfast.call("status").stdout
    hold(holdfast)
    waiting = wait_later(site, holdfast)
    release(holdfast)
    assert waiting.get()[0] == 200 and site.get()[0] == 200
    holdfast.stop()


def test_of_another_service_they_are_closed(make_site):
    site = make_site()
    site.pools[:] = []
    holdfast = site.holdfast(f"--listen={site.address}", command=SERVER)
    hold(holdfast, "100ms")
    holdfast.wait(r"not held any longer: they are closed until `holdfast release`")
    host, port = site.address.split(":")
    with socket.create_connection((host, int(port)), DEADLINE) as connection:
        assert connection.recv(100) == b""
    release(holdfast)
    with socket.create_connection((host, int(port)), DEADLINE) as connection:
        assert connection.recv(100)


def test_reload_and_restart(held):
    """A generation that gets ready during the hold serves from the release on, and not before."""
    site, holdfast = held
    waiting = wait_later(site, holdfast)
    holdfast.replace(2)
    holdfast.replace(3)
    done(holdfast.call("restart"))
    hold(holdfast)  # nothing new, but the time
    assert not waiting.done()
    release(holdfast)
    code, body = waiting.get()
    assert (code, int(body.split()[1])) == (200, site.main_pid())
    assert status(holdfast)["generation"] == 4
    holdfast.replace(5)
    assert site.main_pid() != int(body.split()[1])
    holdfast.stop()


def add_address(site, holdfast, make_site):
    """Another pool, and a site that asks it."""
    other = make_site(site.address.replace("fpm.sock", "other.sock") if site.address.startswith("/") else "tcp")
    other.pools[0].name = "other"
    site.pools.append(other.pools[0])
    site.configure()
    holdfast.replace(2)
    return other


def test_a_new_address_is_held_too(held, make_site):
    site, holdfast = held
    other = add_address(site, holdfast, make_site)
    waiting = [wait_later(site, holdfast), other.get_later("/hello.php")]
    release(holdfast)
    assert [answer.get()[0] for answer in waiting] == [200, 200]


def test_an_address_that_is_given_up(held, make_site):
    """Connections that wait there are not forgotten; the others go on waiting."""
    site, holdfast = held
    other = add_address(site, holdfast, make_site)
    waiting, lost = wait_later(site, holdfast), other.get_later("/hello.php")
    del site.pools[1]
    site.configure()
    holdfast.replace(3)
    assert lost.get()[0] == 502
    assert not waiting.done()
    release(holdfast)
    assert waiting.get()[0] == 200


def test_a_crash(held):
    site, holdfast = held
    waiting = wait_later(site, holdfast)
    master = status(holdfast)["generations"][0]["pid"]
    os.kill(master, signal.SIGKILL)
    holdfast.wait(words.ready(2))
    assert not waiting.done()
    release(holdfast)
    assert waiting.get()[0] == 200 and site.main_pid() != master


def test_a_stop(held):
    """No connection is let through, and none is forgotten."""
    site, holdfast = held
    waiting = wait_later(site, holdfast)
    holdfast.stop()
    assert waiting.get()[0] == 503
    assert holdfast.lines.find(OVER)


def test_a_hold_during_a_stop(site):
    """It is refused, and changes nothing for connections that are already held."""
    holdfast = site.holdfast("--warm=none")
    slow = site.start_slow()
    hold(holdfast)
    waiting = wait_later(site, holdfast)
    holdfast.send(signal.SIGTERM)
    holdfast.wait(OVER)
    refused(holdfast.call("hold"), "hold failed: the service is about to stop$")
    assert waiting.get()[0] == 503
    assert slow.finish()[0] == 200
    holdfast.process.wait()
    assert not holdfast.lines.find(RELEASED)


def test_death_and_upgrade(make_site, kind):
    """The next holdfast continues the hold for the time that is left."""
    site = make_site(kind)
    holdfast = ManagedHoldfast(site, "--warm=none")
    site.at_close(holdfast.close)
    holdfast.start()
    master = site.main_pid()
    hold(holdfast)
    until = status(holdfast)["held_until"]
    waiting = [wait_later(site, holdfast)]
    holdfast.process.stop(signal.SIGKILL)
    waiting.append(site.get_later("/hello.php"))
    holdfast.start()
    wait_for_queue(holdfast, 2)
    done(holdfast.call("upgrade"))
    wait_for_queue(holdfast, 2)
    assert abs(status(holdfast)["held_until"] - until) < 1
    release(holdfast)
    assert [int(answer.get()[1].split()[1]) for answer in waiting] == [master, master]
    hold(holdfast, "100ms")
    holdfast.wait(OVER)
    holdfast.process.stop(signal.SIGKILL)
    waiting = site.get_later("/hello.php")
    holdfast.start()
    assert waiting.get()[0] == 503
    release(holdfast)
    holdfast.process.stop(signal.SIGKILL)
    holdfast.start()
    assert site.main_pid() == master
    holdfast.stop()


def test_what_cannot_be_held(make_site):
    site = make_site()
    site.pools[:] = []
    holdfast = site.holdfast(f"--listen={site.address}", "--listen=@test-" + site.name, command=SERVER)
    refused(holdfast.call("release"), "release failed: no connections are held")
    refused(holdfast.call("hold"), f"hold failed: new connections to @test-{site.name} cannot be made to wait: "
                                   "an abstract name cannot be bound twice")
    refused(holdfast.call("release"), "no connections are held")
    assert holdfast.call("hold", "--timeout=10ms").returncode == words.EXIT_USAGE


def test_one_side_by_its_handover(site):
    holdfast = site.holdfast("--handover=gentle")
    refused(holdfast.call("hold"), "cannot be made to wait: --handover leaves it one socket")
    assert site.get()[0] == 200
