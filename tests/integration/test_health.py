# SPDX-License-Identifier: MIT
"""Probes of the active generation: busy is not dead, dead is replaced, and a wrong probe does no harm."""
import contextlib
import math
import os
import pathlib
import re
import shlex
import signal
import time

import pytest

from harness import fastcgi, net, process, words
from harness.holdfast import call
from harness.paths import HELPERS, PYTHON
from harness.phpfpm import Pool
from harness.wait import Appearance, Ended

PING = "--probe=fastcgi:/ping"
OFTEN = ("--probe-every=100ms", "--probe-timeout=200ms")


def healed(holdfast):
    return holdfast.lines.find("health: generation")


def send_all(pid, number):
    """To a main process and its children."""
    for each in [pid, *process.children(pid)]:
        os.kill(each, number)


def timers(pid):
    """Seconds until the armed timers of a process, up to a minute: longer is only what a D-Bus handshake may take."""
    facts = [pathlib.Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
             for fd, what in process.descriptors(pid).items() if "timerfd" in what]
    values = [int(second) for text in facts for second in re.findall(r"it_value: \((\d+), [1-9]", text)]
    return [value for value in values if value < 60]


def end_the_stopped(holdfast):
    """The master is continued, but its workers react only to KILL, which comes with the third signal."""
    holdfast.send(signal.SIGTERM)
    holdfast.wait("stopping: ")
    holdfast.send(signal.SIGTERM)
    holdfast.wait("generation 1 is still there, it is sent SIGTERM")
    holdfast.stop()


# ---- busy ----


@pytest.fixture(params=["tcp", "unix", "own-status"])
def small_site(make_site, request):
    """Two workers. own-status: the pool has a status page, a socket for it, and a ping of its own already."""
    if request.param != "own-status":
        return make_site(request.param, children=2)
    own = {"pm.status_listen": f"127.0.0.1:{net.free_port()}", "pm.status_path": "/st", "ping.path": "/ping"}
    return make_site("tcp", children=2, pool_options=own)


def test_a_saturated_pool_is_not_replaced(small_site):
    """However impatient the probe is. A pool that stays busy is reported, too."""
    site = small_site
    holdfast = site.holdfast(PING, *OFTEN, "--probe-failures=1")
    master = site.main_pid()
    descriptors = len(process.descriptors(holdfast.pid))
    busy = [site.start_slow(2000) for _ in range(2)]
    assert "/ping: no answer within 200 ms, 2 of 2 workers busy" in holdfast.wait(words.SATURATED)
    holdfast.wait(words.HANGS)
    assert [answer.get()[0] for answer in busy] == [200, 200]
    holdfast.wait("generation 1 answers its probe again")
    assert site.main_pid() == master
    assert not healed(holdfast)
    assert not holdfast.lines.find("failed its probe")
    assert len(process.descriptors(holdfast.pid)) <= descriptors + 1  # a probe may be under way
    holdfast.stop()


def test_a_pool_that_hangs_is_replaced_if_wanted(make_site):
    site = make_site(children=2)
    holdfast = site.holdfast(PING, *OFTEN, "--probe-hung-after=1s")
    master = site.main_pid()
    busy = [site.start_slow(2500) for _ in range(2)]
    holdfast.wait(words.healed(2))
    assert site.main_pid() != master
    # It drains as any other does.
    assert [answer.get()[0] for answer in busy] == [200, 200]
    holdfast.wait(words.gone(1))
    assert len(holdfast.lines.find(words.HANGS)) == 2
    holdfast.stop()


def test_progress_is_no_hanging(make_site):
    """Each request finishes in time, while the next one is already waiting."""
    site = make_site(children=2)
    holdfast = site.holdfast(PING, *OFTEN, "--probe-hung-after=2s", "--probe-failures=1")
    master = site.main_pid()
    busy = [site.get_later("/busy.php?ms=500") for _ in range(10)]
    holdfast.wait(words.SATURATED)
    assert {answer.get()[0] for answer in busy} == {200}
    holdfast.wait("generation 1 answers its probe again")
    assert site.main_pid() == master
    assert not healed(holdfast)
    holdfast.stop()


def test_without_a_scoreboard_no_answer_is_a_failure(make_site):
    """Before PHP 8.0 there is no way to know."""
    site = make_site(children=2)
    command = [HELPERS / "php-fpm-old", "-y", site.configuration_path]
    shown = call("check", PING, "--adapter=php-fpm", "--", *command).stdout
    assert "ping.path = /ping" in shown
    assert "pm.status" not in shown
    holdfast = site.holdfast(PING, *OFTEN, "--probe-failures=4", "--adapter=php-fpm", command=command)
    busy = [site.start_slow(2000) for _ in range(2)]
    line = holdfast.wait(r"generation 1 failed its probe \(4 in a row\)")
    assert line.endswith("/ping: no answer within 200 ms")
    holdfast.wait(words.healed(2))
    assert [answer.get()[0] for answer in busy] == [200, 200]
    holdfast.stop()


def test_an_upgrade_goes_on_probing(make_site):
    """The next holdfast knows the scoreboards that its predecessor had php-fpm make."""
    site = make_site(children=2, pool_options={"php_admin_value[memory_limit]": "300M"})
    holdfast = site.holdfast(PING, *OFTEN, "--probe-failures=1", "--recycle-memory=200M",
                             "--recycle-check=100ms")
    master = site.main_pid()
    result = holdfast.call("upgrade")
    assert result.returncode == 0, result.stderr
    busy = [site.start_slow(1500) for _ in range(2)]
    assert "2 of 2 workers busy" in holdfast.wait(words.SATURATED)
    assert [answer.get()[0] for answer in busy] == [200, 200]
    holdfast.wait("generation 1 answers its probe again")
    assert site.main_pid() == master
    fill = site.start_slow(page="fill.php?mb=250")
    holdfast.wait(words.recycled(2))
    assert fill.finish()[0] == 200
    holdfast.stop()


# ---- dead ----


@pytest.mark.load
@pytest.mark.parametrize("listen, probe", [("tcp", PING), ("unix", PING), ("unix", "--probe=tcp")])
def test_a_stopped_generation_is_replaced(make_site, listen, probe):
    """Its master and its workers no longer answer at all. Clients that connect in the meantime are answered by the next one."""
    site = make_site(listen, children=4)
    holdfast = site.holdfast(probe, *OFTEN, "--probe-failures=5")
    master = site.main_pid()
    send_all(master, signal.SIGSTOP)
    line = holdfast.wait(r"generation 1 failed its probe \(1 in a row\)")
    assert "no answer within 200 ms" in line or "no connection was taken within 200 ms" in line
    load = site.load(duration=1)
    holdfast.wait(words.healed(2))
    assert holdfast.lines.find(r"generation 1 failed its probe \(5 in a row\)")
    assert site.main_pid() != master
    load.finish()
    load.assert_nothing_lost()
    end_the_stopped(holdfast)


def test_a_stop_that_ends_in_time_is_forgiven(make_site):
    site = make_site("unix", children=2)
    holdfast = site.holdfast("--probe=tcp", *OFTEN, "--probe-failures=50")
    master = site.main_pid()
    send_all(master, signal.SIGSTOP)
    holdfast.wait(r"generation 1 failed its probe \(1 in a row\): no connection was taken within 200 ms")
    send_all(master, signal.SIGCONT)
    holdfast.wait("generation 1 answers its probe again")
    assert site.main_pid() == master
    holdfast.stop()


def test_one_of_many_pools(make_site):
    """The message says which."""
    pools = [Pool(f"127.0.0.1:{net.free_port()}", name=name, children=1,
                  options={"ping.path": "/up"} if name == "a" else {}) for name in "abc"]
    site = make_site(pools=pools)
    holdfast = site.holdfast("--probe=fastcgi:/up", *OFTEN, "--probe-failures=1000")
    line = holdfast.wait("generation 1 failed its probe")
    assert re.search(rf"({pools[1].listen}|{pools[2].listen}): /up: it answered 404", line)
    holdfast.stop()


# ---- wrong ----


def test_a_wrong_probe_does_not_replace_for_ever(site):
    """After each replacement that did not help, the next one takes twice as many failures."""
    holdfast = site.holdfast("--probe=fastcgi:/wrong", *OFTEN, "--probe-failures=1")
    holdfast.wait(r"generation 3 is not replaced yet: .* it now takes 4 failed probes in a row")
    holdfast.wait(r"generation 4 failed its probe \(5 in a row\): /wrong: it answered 404")
    assert len(healed(holdfast)) == 3
    assert len(holdfast.lines.find("is not replaced yet")) == 3
    assert site.get()[0] == 200
    holdfast.stop()


def test_nothing_waits_without_the_options(site):
    holdfast = site.holdfast()
    with holdfast.settled():
        assert timers(holdfast.pid) == []
    holdfast.stop()


def test_a_probe_is_a_timer(site):
    """The test above can fail."""
    holdfast = site.holdfast(PING)
    with holdfast.settled():
        assert timers(holdfast.pid)
    holdfast.stop()


# ---- a command ----


def test_a_command_decides(make_site):
    site = make_site(children=1)
    told, well = site.directory / "told", site.directory / "well"
    well.touch()
    told_new, told_path, well_path = (shlex.quote(str(path)) for path in (f"{told}.new", told, well))
    command = (f"echo $HOLDFAST_NAME $HOLDFAST_GENERATION $HOLDFAST_MAINPID >{told_new}; mv {told_new} {told_path}; "
               f"echo looked; test -e {well_path}")
    with Appearance(told) as appearance:
        holdfast = site.holdfast(f"--probe=exec:{command}", *OFTEN, "--probe-timeout=20s", "--probe-failures=3")
        appearance.wait()
    assert told.read_text().split() == [site.name, "1", str(site.main_pid())]
    assert not holdfast.lines.find("probe")
    well.unlink()
    holdfast.wait(r"generation 1 failed its probe \(1 in a row\): the command exited with status 1")
    holdfast.wait("looked")
    holdfast.wait(words.healed(2))
    well.touch()
    holdfast.wait(words.gone(1))
    holdfast.stop()


def test_a_command_that_does_not_end(make_site):
    """It is ended with all that it started, and counts as a failure."""
    site = make_site(children=1)
    pids = site.directory / "pids"
    command = f"sleep 300 & echo $! >{pids}.new; mv {pids}.new {pids}; wait"
    with Appearance(pids) as appearance:
        holdfast = site.holdfast(f"--probe=exec:{command}", *OFTEN, "--probe-timeout=500ms", "--probe-failures=1000")
        appearance.wait()
    with contextlib.suppress(ProcessLookupError), Ended(int(pids.read_text())) as sleeper:
        sleeper.wait()
    holdfast.wait("failed its probe .*: the command did not finish in 500 ms")
    holdfast.stop()


# ---- other services ----


def test_tcp_with_a_server_that_stops(make_site):
    site = make_site(pools=[])
    address = f"127.0.0.1:{net.free_port()}"
    holdfast = site.holdfast(f"--listen={address}", "--ready=notify", "--probe=tcp", *OFTEN,
                             command=[PYTHON, HELPERS / "misbehave.py", "serve"])
    main = int(holdfast.wait(words.ready(1)).partition("pid ")[2].partition(",")[0])
    os.kill(main, signal.SIGSTOP)
    holdfast.wait("generation 1 failed its probe")
    with fastcgi.connect(address) as waiting:
        holdfast.wait(words.healed(2))
        assert waiting.recv(1)
    assert holdfast.lines.find(r"failed its probe \(3 in a row\): no connection was taken within 200 ms")
    holdfast.stop()


@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_http_with_a_server_that_gets_sick(make_site, listen):
    site = make_site(pools=[])
    address = f"127.0.0.1:{net.free_port()}" if listen == "tcp" else site.directory / "web.sock"
    health = site.directory / "health"
    holdfast = site.holdfast(f"--listen={address}", "--ready=notify", f"--directory={site.directory}", *OFTEN,
                             "--probe=http:/healthz", "--http-header=Host: www.example.org",
                             command=[HELPERS / "http_server.py"])
    holdfast.wait(words.ready(1))
    health.write_text("503 out of cheese")
    line = holdfast.wait(r"generation 1 failed its probe \(1 in a row\): /healthz: it answered 503: out of cheese ")
    assert "www.example.org" in line
    holdfast.wait(words.healed(2))
    health.write_text("hang")
    holdfast.wait(r"generation 2 failed its probe .*: /healthz: no answer within 200 ms")
    health.unlink()
    holdfast.wait("answers its probe again")
    holdfast.stop()


# ---- memory ----


def test_a_generation_that_grows_is_recycled(make_site):
    site = make_site(children=2, pool_options={"php_admin_value[memory_limit]": "256M"})
    holdfast = site.holdfast("--recycle-memory=100M", "--recycle-check=100ms")
    master = site.main_pid()
    answer = site.start_slow(page="fill.php?mb=150")
    line = holdfast.wait("generation 1 uses .* of memory, more than 100 MiB; it is recycled")
    assert 100 <= float(re.search(r"uses ([0-9.]+) MiB", line).group(1)) < 256
    holdfast.wait(words.recycled(2))
    assert answer.finish()[0] == 200
    holdfast.wait(words.gone(1))
    assert site.main_pid() != master
    assert len(holdfast.lines.find("it is recycled")) == 1
    holdfast.stop()


def test_a_large_generation_whose_reload_fails(make_site):
    """It is tried again, later and later."""
    site = make_site(children=2, pool_options={"php_admin_value[memory_limit]": "256M"})
    holdfast = site.holdfast("--recycle-memory=100M", "--recycle-check=100ms")
    master = site.main_pid()
    site.break_configuration()
    begin = time.monotonic()
    answer = site.start_slow(page="fill.php?mb=150")
    holdfast.wait("recycle failed: ")
    holdfast.wait("it is recycled", holdfast.mark())
    times = len(holdfast.lines.find("it is recycled"))
    assert 2 <= times <= 2 + math.log2(1 + (time.monotonic() - begin) / 0.1)
    site.configure()
    holdfast.wait(words.recycled(2))
    assert answer.finish()[0] == 200
    assert site.main_pid() != master
    holdfast.stop()


# ---- a watchdog ----


@pytest.mark.parametrize("last", ["", "WATCHDOG=trigger"], ids=["silent", "trigger"])
def test_a_service_that_misses_its_watchdog_is_replaced(service, last):
    """It still serves, so only the service itself knows."""
    holdfast = service.start("--watchdog=1500ms", behaviour=["watched", f"--trigger={service.fifo}", f"--last={last}"])
    holdfast.wait("lives 17")  # longer than that
    assert not holdfast.lines.find("unhealthy|failed its probe")
    service.behave("serve")
    service.trigger()
    why = "it has said WATCHDOG=trigger" if last else r"it has not said WATCHDOG=1 for \d[.\d]* s \(--watchdog\)"
    holdfast.wait(rf"generation 1 failed its probe \(1 in a row\): {why}")
    holdfast.wait(words.ready(2))
    holdfast.wait(words.gone(1))
    holdfast.stop()


def test_a_watchdog_counts_from_the_next_generation_on(service, tmp_path):
    """A generation that was started without a watchdog does not know about it."""
    settings = tmp_path / "settings"
    settings.write_text("drain-timeout = 1s\n")
    holdfast = service.start(f"--config={settings}")
    settings.write_text("watchdog = 10ms\npreflight = exit 1\n")
    assert holdfast.call("reload").returncode == words.EXIT_FAILURE
    holdfast.settle()
    assert not holdfast.lines.find("failed its probe")
    holdfast.stop()


@pytest.mark.parametrize("options, why", [(["--", "php-fpm8.2"], "php-fpm never says WATCHDOG=1; write --probe=fastcgi:/ping"),
                                          (["--watchdog=1ms", "--", "true"], "too short")])
def test_watchdogs_that_cannot_be(options, why):
    result = call("check", "--watchdog=1s", *options)
    assert result.returncode == words.EXIT_USAGE and why in result.stderr


# ---- what the pools' own settings say ----


@pytest.mark.load
def test_pools_that_have_a_ping_page_of_their_own_or_let_nobody_in(make_site):
    """Healthy ones are found healthy, by probe and canary, on either side."""
    site = make_site(children=2, pool_options={"ping.path": "/alive", "listen.allowed_clients": "127.0.0.1"})
    site.pools.append(Pool(f"127.0.0.1:{net.free_port()}", name="front", children=1, options={"listen.allowed_clients": "192.0.2.7"}))
    site.configure()
    holdfast = site.holdfast("--probe=fastcgi:/ping", "--probe-every=100ms", "--probe-failures=1", "--canary=fastcgi:/ping",
                             "--warm=fastcgi:/hello.php", f"--document-root={site.root}", "--log-level=debug")
    for number in (2, 3):
        result = holdfast.call("reload")
        assert result.returncode == 0, result.stderr
        line = holdfast.wait(rf"generation {number} warmed")
        assert "refused" not in line and "failed" not in line
        mark = holdfast.mark()
        for _ in range(2):
            holdfast.wait("event probed", mark)
            mark = holdfast.mark()
    assert not holdfast.lines.find("failed its probe|unhealthy")
    holdfast.stop()
