# SPDX-License-Identifier: MIT
"""`holdfast hold` and `release`: new connections wait in the queue, for a time, and are answered with 503 from then on."""
import http.client
import json
import os
import re
import signal
import socket
import time
from subprocess import Popen

import pytest

from harness import net, words
from harness.holdfast import call
from harness.manager import ManagedHoldfast
from harness.paths import HELPERS, HOLDFAST, PYTHON
from harness.phpfpm import Pool
from harness.process import environment
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


# ---- together with another instance ----


def add_pool_of(site, make_site):
    """Another site with a pool of its own, and what gives it the one of site as well."""
    unix = site.address.startswith("/")  # what a path needs is kept from the start
    own = str(site.directory / "own.sock") if unix else f"127.0.0.1:{net.free_port()}"
    second = make_site(pools=[Pool(own, name="own", children=1)])

    def add():
        second.pools.append(site.pools[0])
        second.configure()

    return second, add


def leave(holdfast):
    """Stops one of two that have an address, which goes on."""
    done(holdfast.call("stop"))
    assert holdfast.process.wait() == 0


def asks(site, times=1):
    """Who answers, as a set of masters."""
    return {int(site.get()[1].split()[1]) for _ in range(times)}


def test_a_new_instance_takes_what_is_held(held, make_site):
    """It serves who waits as soon as it is ready, and the hold of the other is of no account there."""
    site, holdfast = held
    waiting = wait_later(site, holdfast)
    second = make_site(pools=site.pools)
    taker = second.holdfast("--take-over")
    assert waiting.get()[0] == 200
    masters = {generation["pid"] for generation in status(taker)["generations"]}
    assert asks(site, 5) == masters
    hold(taker)
    waiting = site.get_later("/hello.php")
    wait_for_queue(taker, 1)
    release(holdfast)  # of what it has left: nothing
    assert not waiting.done()
    release(taker)
    assert waiting.get()[0] == 200
    leave(holdfast)
    assert asks(site, 3) == masters
    taker.replace(2)
    assert asks(site).isdisjoint(masters)
    leave(taker)


def test_a_reload_takes_what_is_held(held, make_site):
    """Who waits is served by who has taken it, and so is everybody after that, though the other one still runs."""
    site, holdfast = held
    holdfast.replace(2)
    waiting = wait_later(site, holdfast)
    second, add = add_pool_of(site, make_site)
    taker = second.holdfast()
    add()
    done(taker.call("reload", "--take-over"))
    master = second.main_pid()
    assert int(waiting.get()[1].split()[1]) == master
    assert asks(site, 20) == {master}
    refused(holdfast.call("hold"), "cannot be made to wait: another instance of holdfast has taken it over")
    release(holdfast)
    assert asks(site, 20) == {master}
    leave(holdfast)
    assert asks(site, 20) == {master}
    taker.replace(3)
    assert asks(site, 5) == {second.main_pid()}
    leave(taker)


@pytest.mark.parametrize("when, end", [("before", "release"), ("before", "timeout"), ("after", "release")])
def test_a_take_over_that_fails_while_connections_are_held(held, make_site, end, when):
    """They are as before: whatever is asked while it is tried, or afterwards, comes true."""
    site, holdfast = held
    waiting = wait_later(site, holdfast)
    if end == "timeout":
        hold(holdfast, "3s")
    second, add = add_pool_of(site, make_site)
    fifo = second.directory / "trial"
    os.mkfifo(fifo)
    taker = second.holdfast(f"--canary=exec:read word <{fifo}; exit 1")
    add()
    with Popen([HOLDFAST, "reload", f"--name={second.name}", "--take-over"], env=environment()) as reload:
        with open(fifo, "w") as trial:  # it has begun
            if end == "timeout":
                holdfast.wait("connections are not held any longer")
            elif when == "before":
                release(holdfast)
                assert not waiting.done()
            trial.write("failed\n")
        assert reload.wait() == words.EXIT_FAILURE
    if when == "after":
        assert not waiting.done()
        release(holdfast)
    code, body = waiting.get()
    assert code == (503 if end == "timeout" else 200), body
    if end == "timeout":
        release(holdfast)
    assert asks(site, 5) == {site.main_pid()}
    leave(taker)
    assert asks(site, 5) == {site.main_pid()}


def test_a_new_instance_that_fails_while_connections_are_held(held):
    site, holdfast = held
    waiting = wait_later(site, holdfast)
    result = call("run", f"--name={site.name}-new", "--take-over", "--exit-with-service", f"--listen={site.address}",
                  "--ready=delay:1h", "--", "sh", "-c", "exit 3")
    assert result.returncode == 3 and "is taken over from another holdfast" in result.stderr, result.stderr
    assert not waiting.done()
    release(holdfast)
    assert waiting.get()[0] == 200
    assert asks(site, 5) == {site.main_pid()}
    holdfast.stop()


def test_who_holds_takes_from_another_instance(make_site, kind):
    """What it takes waits as well, until its own release."""
    site = make_site(kind)
    holdfast = site.holdfast("--warm=none")
    second, add = add_pool_of(site, make_site)
    taker = second.holdfast()
    hold(taker)
    add()
    done(taker.call("reload", "--take-over"))
    waiting = site.get_later("/hello.php")
    wait_for_queue(taker, 0)
    leave(holdfast)
    assert not waiting.done()
    release(taker)
    assert int(waiting.get()[1].split()[1]) in {generation["pid"] for generation in status(taker)["generations"]}
    leave(taker)
