# SPDX-License-Identifier: MIT
"""The trial on the standby side: a generation that fails it has served nobody, and events during a trial have their rules."""
import contextlib
import json
import os
import re
import signal
import subprocess

import pytest

from harness import fastcgi, net, process, words
from harness.manager import ManagedHoldfast
from harness.paths import HELPERS, HOLDFAST, PYTHON
from harness.process import Process, environment
from harness.versions import Versions
from harness.wait import Appearance, Ended

VERSION = "<?php echo getenv('VERSION');"
GATE = "<?php touch(__DIR__ . '/../marks/met'); fclose(fopen(__DIR__ . '/../marks/gate', 'r')); echo 'well';"


def deploy(site, version):
    """The code prints what its generation was started with."""
    site.pools[0].options["env[VERSION]"] = version
    site.configure()


def served(site):
    return fastcgi.request(site.address, str(site.root / "version.php"))[1]


def generations(holdfast):
    return {generation["number"]: generation
            for generation in json.loads(holdfast.call("status", "--json").stdout)["generations"]}


# ---- who fails ----


def assert_refused(holdfast, ask, reasons, verb="reload"):
    """The caller gets the error, the new generation is ended, and no visitor reached it."""
    before = ask()
    number = max(generations(holdfast)) + 1
    versions = Versions(ask)
    failed = holdfast.call(verb)
    assert {version for _, _, version in versions.end()} == {before}
    assert failed.returncode == words.EXIT_FAILURE
    for reason in reasons:
        assert reason in failed.stderr, failed.stderr
    holdfast.wait(words.gone(number))
    assert {key: facts["state"] for key, facts in generations(holdfast).items()} == {number - 1: "active"}
    assert ask() == before


@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_a_canary_over_fastcgi(make_site, listen):
    site = make_site(listen, children=4)
    (site.root / "version.php").write_text(VERSION)
    health = site.root / "healthz.php"
    health.write_text('<?php if (getenv("VERSION") == "bad") throw new Exception("out of cheese"); echo "well";')
    deploy(site, "good")
    holdfast = site.holdfast("--canary=fastcgi:/healthz.php", f"--document-root={site.root}", "--warm=none")
    deploy(site, "bad")
    assert_refused(holdfast, lambda: served(site), [f"the canary of {site.address} is unhealthy: it answered 500", "out of cheese"])
    deploy(site, "better")
    assert holdfast.call("reload").returncode == 0
    assert served(site) == "better"
    holdfast.stop()


@pytest.mark.parametrize("listen", ["tcp", "unix"])
@pytest.mark.parametrize("canary, more, reasons", [
    (["--canary=http:/healthz", "--http-header=Host: www.example.org"], "500 out of cheese",
     ["it answered 500: out of cheese", "www.example.org"]),
    (["--canary=exec:cat health; test ! -e health"], "200 out of cheese", ["the command exited with status 1", "out of cheese"]),
    (["--canary=exec:test ! -e health || { cat health >&2; exit 3; }"], "200 out of cheese",
     ["the command exited with status 3", "out of cheese"])])
def test_a_canary_of_another_server(make_site, listen, canary, more, reasons):
    site = make_site(listen)
    address = site.address
    site.pools[:] = []
    holdfast = site.holdfast(f"--listen={address}", "--ready=notify", f"--directory={site.directory}", *canary,
                             command=[PYTHON, HELPERS / "http_server.py"])

    def ask():
        with fastcgi.connect(address) as connection, connection.makefile() as stream:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: version\r\nConnection: close\r\n\r\n")
            return re.search(r"(\d+) version", stream.read()).group(1)

    (site.directory / "health").write_text(more)
    assert_refused(holdfast, ask, [f"the canary of {address} is unhealthy: ", *reasons])
    (site.directory / "health").unlink()
    before = ask()
    assert holdfast.call("reload").returncode == 0
    assert ask() != before
    holdfast.stop()


def test_php_fpm_that_fails_as_it_starts(site):
    """By what only a start runs, on the standby side. It says so on its own standard error, which is where the log goes."""
    (site.root / "version.php").write_text(VERSION)
    preload = site.root / "preload.php"
    preload.write_text("<?php")
    deploy(site, "good")
    command = [*site.command, "-d", f"opcache.preload={preload}", "-d", "opcache.preload_user=www-data"]
    holdfast = site.holdfast("--canary=fastcgi:/version.php", f"--document-root={site.root}", command=command)
    preload.write_text('<?php throw new Exception("out of cheese");')
    deploy(site, "bad")
    assert_refused(holdfast, lambda: served(site), ["generation 2 failed to start: ", "before it was ready",
                                                    "it finds no fault in its configuration; its own log says more"])
    assert holdfast.wait("out of cheese")
    preload.write_text("<?php")
    deploy(site, "better")
    assert holdfast.call("reload").returncode == 0
    assert served(site) == "better"
    holdfast.stop()


@pytest.mark.parametrize("canary, reason", [("http:/healthz", "no answer within 10 s"),
                                            ("exec:exec cat never", "the command did not finish in 10 s")])
def test_a_canary_that_hangs(site, canary, reason):
    site.pools[:] = []
    os.mkfifo(site.directory / "never")  # nobody writes to it
    holdfast = site.holdfast(f"--listen={site.address}", "--ready=notify", f"--directory={site.directory}", f"--canary={canary}",
                             "--ready-timeout=10s", command=[PYTHON, HELPERS / "http_server.py"])
    (site.directory / "health").write_text("hang")
    failed = holdfast.call("reload")
    assert failed.returncode == words.EXIT_FAILURE and reason in failed.stderr, failed.stderr
    holdfast.wait(words.gone(2))
    holdfast.stop()


# ---- what happens meanwhile ----


class Tried:
    """A site of which a reload is in the middle of its trial, held by a gate."""

    def __init__(self, site, stage, managed=False):
        """managed: by what keeps its sockets."""
        self.site = site
        for name in ("gate.php", "version.php"):
            (site.root / name).write_text(GATE if name == "gate.php" else VERSION)
        self.gate = site.marks / "gate"
        os.mkfifo(self.gate)
        self.gate.chmod(0o666)
        deploy(site, "one")
        options = {"canary": ["--canary=fastcgi:/gate.php", "--warm=none"],
                   "page": ["--warm=fastcgi:/gate.php"],
                   "command": [f"--warm=exec:touch {site.marks}/met; : <{self.gate}"]}[stage]
        options += [f"--document-root={site.root}", "--warm-timeout=50s", "--ready-timeout=50s", "--log-level=debug"]
        if managed:
            self.holdfast = ManagedHoldfast(site, *options)
            site.at_close(self.holdfast.close)
            self.holdfast.start()
        else:
            self.holdfast = site.holdfast(*options)
        assert served(site) == "one"
        self.master = next(iter(generations(self.holdfast).values()))["pid"]
        deploy(site, "two")
        with Appearance(site.marks / "met") as met:
            self.caller = self.ask_for_reload()
            met.wait()
        assert generations(self.holdfast)[2]["state"] == "trial"

    def ask_for_reload(self):
        return Process([HOLDFAST, "reload", f"--name={self.site.name}"], env=environment(), stdin=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, text=True)

    def open_gate(self):
        """For whoever comes from now on, too."""
        opened = os.open(self.gate, os.O_RDWR)
        self.site.at_close(lambda: os.close(opened))

    def finish(self):
        self.open_gate()
        self.holdfast.stop()


@pytest.fixture(params=["canary", "page", "command"])
def tried(request, make_site):
    return Tried(make_site(children=4), request.param)


def test_a_second_reload_waits_for_one_more(tried):
    """And the generation on trial served nobody before that."""
    since = tried.holdfast.mark()
    deploy(tried.site, "three")
    second = tried.ask_for_reload()
    tried.holdfast.wait("event request ", since)
    assert served(tried.site) == "one"
    tried.open_gate()
    assert tried.caller.wait() == 0 and second.wait() == 0
    assert served(tried.site) == "three"
    tried.holdfast.stop()


def test_a_stop_ends_both(tried):
    versions = Versions(lambda: served(tried.site))
    since = tried.holdfast.mark()
    tried.holdfast.send(signal.SIGTERM)
    tried.holdfast.wait("generation 1 is draining", since)
    tried.open_gate()
    assert tried.holdfast.process.wait() == 0
    with contextlib.suppress(AssertionError):  # nobody listens any more
        versions.end()
    assert {version for _, _, version in versions.asked} <= {"one"}
    assert tried.caller.wait() == words.EXIT_FAILURE
    assert "stop" in tried.caller.popen.stderr.read()
    assert not tried.holdfast.residue()


def test_a_crash_of_all_of_the_active_one(tried):
    """The generation on trial serves at once, waiting clients included."""
    with contextlib.ExitStack() as stack:
        everybody = [stack.enter_context(Ended(pid)) for pid in [tried.master, *process.children(tried.master)]]
        tried.holdfast.send(signal.SIGSTOP)
        os.waitid(os.P_PID, tried.holdfast.pid, os.WSTOPPED)
        os.killpg(tried.master, signal.SIGKILL)
        for one in everybody:
            one.wait()
    with fastcgi.connect(tried.site.address) as early:  # into a queue that nobody serves
        tried.holdfast.send(signal.SIGCONT)
        assert tried.caller.wait() == 0
        assert fastcgi.request_over(early, str(tried.site.root / "version.php"))[1] == "two"
    assert served(tried.site) == "two"
    tried.holdfast.wait(words.gone(1))
    tried.finish()


def test_a_crash_of_the_active_master(tried):
    """Its workers go on serving until the trial is over."""
    os.kill(tried.master, signal.SIGKILL)
    tried.holdfast.wait(words.crashed(1))
    assert served(tried.site) == "one"
    assert generations(tried.holdfast)[2]["state"] == "trial"
    tried.open_gate()
    assert tried.caller.wait() == 0
    assert served(tried.site) == "two"
    tried.holdfast.wait(words.gone(1))
    tried.holdfast.stop()


def test_a_crash_of_the_one_on_trial(tried):
    """The caller gets the error, and the old generation goes on serving."""
    number = generations(tried.holdfast)[2]["pid"]
    with Ended(number) as new:
        os.killpg(number, signal.SIGKILL)
        new.wait()
    assert tried.caller.wait() == words.EXIT_FAILURE
    assert "generation 2" in tried.caller.popen.stderr.read()
    assert served(tried.site) == "one"
    tried.holdfast.wait(words.gone(2))
    tried.finish()


@pytest.mark.parametrize("stage", ["canary", "page", "command"])
def test_a_crash_of_holdfast(make_site, stage):
    """The next holdfast goes on with the generation that served, and ends the one on trial."""
    tried = Tried(make_site("unix", children=4), stage, managed=True)
    tried.holdfast.process.stop(signal.SIGKILL)
    assert tried.caller.wait() != 0
    assert served(tried.site) == "one"
    tried.open_gate()
    tried.holdfast.start()
    tried.holdfast.wait(words.gone(2))
    assert served(tried.site) == "one"
    assert tried.holdfast.call("reload").returncode == 0
    assert served(tried.site) == "two"
    tried.holdfast.stop()


# ---- where it is reached ----

NETWORK = """ip link set lo up && ip tuntap add dev outside mode tun && ip address add 10.99.0.1/24 dev outside &&
ip link set outside up && { ip -6 address add fd00:99::1/64 dev outside nodad || true; } && exec "$@" """


@pytest.mark.parametrize("listen", ["10.99.0.1", "0.0.0.0",
                                    *(pytest.param(address, marks=pytest.mark.skipif(not net.has_ipv6(), reason="no IPv6"))
                                      for address in ("[fd00:99::1]", "[::]"))])
def test_an_address_that_is_not_of_the_loopback(site, listen):
    """Its standby side is tried nevertheless, and only that side."""
    site.pools[:] = []
    asked = site.directory / "asked"
    holdfast = site.holdfast(f"--listen={listen}:8000", "--ready=notify", f"--directory={site.directory}", "--canary=http:/healthz",
                             "--warm=http:/page", "--handover=switch", command=[PYTHON, HELPERS / "http_server.py"],
                             wrapper=("unshare", "--net", "sh", "-c", NETWORK, "sh", HOLDFAST))
    asked.touch()
    before = generations(holdfast)[1]["pid"]
    done = holdfast.call("reload")
    assert done.returncode == 0, done.stderr
    lines = [line.split(" ", 2) for line in asked.read_text().splitlines()]
    assert [target for _, target, _ in lines] == ["/healthz", "/page"]
    assert {pid for pid, _, _ in lines} == {str(generations(holdfast)[2]["pid"])} != {str(before)}
    holdfast.stop()
