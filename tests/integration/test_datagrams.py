# SPDX-License-Identifier: MIT
"""Sockets other than stream sockets: UDP, and unix datagram and sequential-packet sockets."""
import json
import re
import socket
import threading

import pytest

from harness import net, words
from harness.holdfast import call
from harness.paths import HELPERS, HOLDFAST, PYTHON
from harness.process import Process, environment
from harness.sleeper import COMMAND
from harness.wait import DEADLINE

# Echoes what comes, with its pid; asked to leave, it answers what it has taken.
ECHO = """
import os, selectors, signal, socket
leaving = []
signal.signal(signal.SIGTERM, lambda *_: leaving.append(1))
wake, woken = socket.socketpair()
for end in (wake, woken):
    end.setblocking(False)
signal.set_wakeup_fd(wake.fileno())
poll = selectors.DefaultSelector()
poll.register(woken, selectors.EVENT_READ)
for fd in range(3, 3 + int(os.environ["LISTEN_FDS"])):
    poll.register(socket.socket(fileno=fd), selectors.EVENT_READ)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while not leaving:
    for key, _ in poll.select():
        one = key.fileobj
        if one is woken:
            continue
        try:
            if one.type == socket.SOCK_SEQPACKET:
                with one.accept()[0] as client:
                    client.send(client.recv(64) + b" %d" % os.getpid())
            else:
                data, sender = one.recvfrom(64, socket.MSG_DONTWAIT)
                one.sendto(data + b" %d" % os.getpid(), sender)
        except BlockingIOError: # the other generation was first
            pass
"""


def address_of(listen):
    """As a client connects to it: (family, type, address)."""
    kind, _, rest = listen.partition(":")
    if kind == "udp":
        host, _, port = rest.rpartition(":")
        return socket.AF_INET, socket.SOCK_DGRAM, (host, int(port))
    rest = "\0" + rest[1:] if rest.startswith("@") else rest
    return socket.AF_UNIX, socket.SOCK_DGRAM if kind == "dgram" else socket.SOCK_SEQPACKET, rest


class Client(threading.Thread):
    """Asks, waits for the answer, asks again. What is not answered in time was lost."""

    def __init__(self, listen, name):
        super().__init__(daemon=True)
        self.family, self.type, self.address = address_of(listen)
        self.name_of_ours = name
        self.over = threading.Event()
        self.pids = []
        self.lost = 0

    def open(self):
        connection = socket.socket(self.family, self.type)
        connection.settimeout(DEADLINE)
        if self.family == socket.AF_UNIX and self.type == socket.SOCK_DGRAM:
            connection.bind(self.name_of_ours)
        connection.connect(self.address)
        return connection

    def run(self):
        connection = self.open()
        while not self.over.is_set():
            connection.send(b"?")
            try:
                self.pids.append(int(connection.recv(64).split()[1]))
            except TimeoutError:
                self.lost += 1
            if self.type == socket.SOCK_SEQPACKET:
                connection.close()
                connection = self.open()
        connection.close()

    def stop(self):
        self.over.set()
        self.join()
        return self.pids, self.lost


def status(holdfast):
    return json.loads(holdfast.call("status", "--json").stdout)["listeners"]


@pytest.fixture
def listens(site):
    site.pools.clear()
    return {"udp": f"udp:127.0.0.1:{net.free_port()}", "dgram": f"dgram:{site.directory}/d.sock",
            "seqpacket": f"seqpacket:{site.directory}/s.sock", "abstract": f"dgram:@{site.name}"}


@pytest.mark.parametrize("kind", ["udp", "dgram", "seqpacket", "abstract"])
def test_nothing_is_lost_over_reloads(site, listens, kind):
    holdfast = site.holdfast(f"--listen={listens[kind]},name=echo", "--ready=notify", command=[PYTHON, "-c", ECHO])
    listed, = status(holdfast)
    assert (listed["name"], listed["address"]) == ("echo", listens[kind])
    assert listed["kind"] == ("dgram" if kind == "abstract" else kind)
    clients = [Client(listens[kind], f"\0{site.name}-{n}") for n in range(4)]
    for client in clients:
        client.start()
    for number in range(2, 5):
        holdfast.replace(number)
    for client in clients:
        pids, lost = client.stop()
        assert lost == 0 and len(pids) > 3
        assert len(set(pids)) > 1
    holdfast.stop()


def test_what_waits_is_shown(site, listens):
    """By a service that reads nothing."""
    options = [f"--listen={listens[kind]}" for kind in ("udp", "dgram", "seqpacket")]
    holdfast = site.holdfast(*options, "--ready=delay:1ms", "--drain-timeout=1s", command=COMMAND)
    sent = b"x" * 100
    for kind in ("udp", "dgram", "seqpacket"):
        family, typed, address = address_of(listens[kind])
        with socket.socket(family, typed) as connection:
            connection.connect(address)
            connection.send(sent)
    depths = {listed["kind"]: listed["depth"] for listed in status(holdfast)}
    assert depths["udp"] >= 100 and depths["dgram"] >= 100 and depths["seqpacket"] == 1
    metrics = holdfast.call("metrics").stdout
    assert re.search(rf'holdfast_queue_depth.*{re.escape(listens["udp"])}.* {depths["udp"]}$', metrics, re.M), metrics


def test_check_says_that_generations_share_it(site, listens):
    for kind, listen in listens.items():
        told = call("check", f"--listen={listen}", "--", *COMMAND).stdout
        assert listen in told and "it is not a stream socket" in told or kind == "abstract", told


def test_who_has_it_is_named(site, listens):
    holder = site.holdfast(f"--listen={listens['udp']}", "--ready=delay:1ms", command=COMMAND)
    other = call("run", f"--name={site.name}-2", f"--listen={listens['udp']}", "--", *COMMAND)
    assert other.returncode == words.EXIT_FAILURE
    assert f"{listens['udp']} is in use by holdfast, instance {site.name} (pid {holder.pid}" in other.stderr
    # TCP has ports of its own
    tcp = call("check", f"--listen={listens['udp'].removeprefix('udp:')}", "--", *COMMAND)
    assert tcp.returncode == 0, tcp.stdout


def test_one_that_was_passed(site):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as passed:
        passed.bind(("127.0.0.1", 0))
        options = [f"--name={site.name}", "--ready=notify"]
        process = Process([PYTHON, HELPERS / "with_listen_fds.py", f"echo={passed.fileno()}", "--",
                           HOLDFAST, "run", *options, "--", PYTHON, "-c", ECHO],
                          pass_fds=[passed.fileno()], env=environment(NOTIFY_SOCKET=str(site.notify.path)))
        try:
            site.notify.wait("READY=1", process.ended)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(DEADLINE)
                client.sendto(b"?", passed.getsockname())
                assert client.recv(64).startswith(b"? ")
        finally:
            assert process.stop() == 0


def test_an_outage_leaves_datagrams_in_the_queue(site, listens):
    """There is no answer that every client would understand, so there is none."""
    site.pools.clear()
    marker = site.directory / "served"
    command = ["/bin/sh", "-c", f"[ -e {marker} ] && exit 1; touch {marker}; exec sleep 0.5"]
    holdfast = site.holdfast(f"--listen={listens['udp']}", "--ready=delay:1ms", "--busy-after=100ms", command=command)
    holdfast.wait("outage: no generation has been ready for 100 ms")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(address_of(listens["udp"])[2])
        client.send(b"?")
    assert status(holdfast)[0]["depth"] > 0
    holdfast.stop()
