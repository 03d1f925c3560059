# SPDX-License-Identifier: MIT
"""Free ports, and what the kernel says about listening sockets."""
import os
import pathlib
import random
import socket
import struct
import subprocess

from harness import worker
from harness.process import environment

_given = set()

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLMSG_DONE = 4, 20, 3
REQUEST_DUMP = 0x301  # NLM_F_REQUEST, NLM_F_DUMP
LISTEN = 1 << 10
# nlmsghdr; inet_diag_req_v2: family, protocol, what more, states, and of the identity the port alone, in its own order
DIAG = struct.Struct("=IHHIIBBBxI2s46x")


def free_port():
    """A TCP port that no outgoing connection takes, free on every address."""
    while True:
        port = random.choice(worker.ports())
        if port in _given:
            continue
        try:
            with socket.socket(socket.AF_INET6 if has_ipv6() else socket.AF_INET) as probe:
                probe.bind(("", port))
        except OSError:
            continue
        _given.add(port)
        return port


def listen(address):
    """A listening socket at HOST:PORT or a path, as a .socket unit makes it."""
    if address.startswith("/"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        os.chmod(address, 0o666)
    else:
        host, _, port = address.rpartition(":")
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
    listener.listen(1024)
    return listener


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def listening(port):
    """Is any socket of this machine listening on the TCP port? By sock_diag(7): /proc/net/tcp takes the kernel 0.2 s."""
    return any(_listening(family, port) for family in (socket.AF_INET, socket.AF_INET6))


def _listening(family, port):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        netlink.send(DIAG.pack(DIAG.size, SOCK_DIAG_BY_FAMILY, REQUEST_DUMP, 0, 0, family, socket.IPPROTO_TCP, 0, LISTEN,
                               port.to_bytes(2, "big")))
        kind, = struct.unpack_from("=4xH", netlink.recv(65536))
    assert kind in (SOCK_DIAG_BY_FAMILY, NLMSG_DONE), f"the kernel does not tell who listens: message of kind {kind}"
    return kind == SOCK_DIAG_BY_FAMILY


def unix_paths():
    """Paths of all bound unix sockets."""
    lines = pathlib.Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:]
    return [fields[7] for fields in (line.split(None, 7) for line in lines) if len(fields) > 7]


def backlog(address):
    """Backlog of the listening socket at HOST:PORT or a unix path, as ss sees it."""
    family = "-x" if address.startswith("/") else "-t"
    shown = subprocess.run(["ss", "-lnH", family], env=environment(), check=True, capture_output=True, text=True,
                           errors="replace")
    for line in shown.stdout.splitlines():
        fields = line.split()
        if family == "-x":
            if fields[4] == address:
                return int(fields[3])
        elif fields[3] == address:
            return int(fields[2])
    raise AssertionError(f"nobody listens at {address}:\n{shown.stdout}")
