# SPDX-License-Identifier: MIT
"""The fastest possible service: it accepts nothing, so connections wait in the queue."""
import contextlib
import socket

from harness.wait import DEADLINE

COMMAND = ["/usr/bin/sleep", "infinity"]


def sleeper(site, *options, listen=None, **more):
    """A running instance of it behind site.address, or behind the --listen value. What waits in its queue at the end
    is not waited for."""
    return site.holdfast(f"--listen={listen or site.address}", "--ready=delay:1ms", "--drain-timeout=1s", *options,
                         command=COMMAND, **more)


@contextlib.contextmanager
def waiting(address, n):
    """n connections to HOST:PORT or a path that wait in its queue."""
    connections = []
    with contextlib.ExitStack() as stack:
        for _ in range(n):
            if address.startswith("/"):
                connection = stack.enter_context(socket.socket(socket.AF_UNIX))
                connection.settimeout(DEADLINE)
                connection.connect(address)
            else:
                host, _, port = address.rpartition(":")
                connection = stack.enter_context(socket.create_connection((host, int(port)), DEADLINE))
            connections.append(connection)
        yield connections
