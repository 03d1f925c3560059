"""Two sides: the next generation starts on a second socket of each listener, then all is switched at once."""
import json
import os
import re
import socket
import stat
import threading

import pytest

from harness import fastcgi, net, words
from harness.paths import HELPERS, PHP_CGI, PYTHON
from harness.phpfpm import Pool
from harness.sleeper import sleeper, waiting
from harness.versions import went_back
from harness.wait import DEADLINE

ROUNDS = 10
SERVER = [PYTHON, HELPERS / "listen_fds_server.py"]


def status(holdfast):
    return json.loads(holdfast.call("status", "--json").stdout)


def listeners(holdfast):
    return {listener["address"]: listener for listener in status(holdfast)["listeners"]}


def hidden(path):
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.2")


def connect(address, source=None):
    if address.startswith("/"):
        return fastcgi.connect(address)
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), DEADLINE, source and (source, 0))


def ask(address):
    with connect(address) as connection, connection.makefile() as stream:
        return json.loads(stream.read())


# ---- nothing is lost ----

@pytest.mark.load
@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_ten_reloads_under_load(make_site, listen):
    site = make_site(listen)
    holdfast = site.holdfast()
    assert status(holdfast)["handover"] == "switch"
    load = site.load()
    for number in range(2, ROUNDS + 2):
        holdfast.reload(number)
    for number in range(1, ROUNDS + 1):
        holdfast.wait(words.gone(number))
    load.assert_nothing_lost()
    assert status(holdfast)["late_connections"] == 0
    holdfast.stop()
    if listen == "unix":
        assert not os.path.lexists(site.address) and not os.path.lexists(hidden(site.address))


class Versions:
    """Asks again and again, and notes when each request began and what version answered."""

    def __init__(self, address):
        self.address, self.asked, self.problems = address, [], []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def run(self):
        import time  # pylint: disable=import-outside-toplevel
        while not self.over.is_set():
            began = time.monotonic()
            try:
                version = ask(self.address)["pid"]
            except (OSError, ValueError) as problem:
                self.problems.append(problem)
                continue
            self.asked.append((began, time.monotonic(), version))

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join(DEADLINE)
        return self.asked


def test_going_back_is_seen():
    assert went_back([(0, 1, "a"), (1, 2, "b"), (3, 4, "b")]) == []
    assert went_back([(0, 1, "a"), (1, 2, "b"), (1.5, 3, "a")]) == []
    assert went_back([(0, 1, "a"), (1, 2, "b"), (3, 4, "a")]) == [(3, "a")]


@pytest.mark.load
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_switch_is_atomic(make_site, kind):
    """After the first answer of the new version no request that starts later gets the old one."""
    site = make_site(kind)
    site.pools[:] = []
    holdfast = site.holdfast(f"--listen={site.address}", command=SERVER)
    versions = Versions(site.address)
    for number in range(2, 22):
        holdfast.reload(number)
    asked = versions.end()
    assert not versions.problems
    assert len({version for _, _, version in asked}) > 10 and not went_back(asked)
    holdfast.stop()
