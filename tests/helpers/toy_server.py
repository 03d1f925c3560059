#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The server that tests/helpers/toy_adapter.c knows: toy_server.py PATH [--where | --test | --overlay FILE].

Answers each connection with its number and its pid, and leaves on TERM once it has answered.
"""
import contextlib
import os
import select
import signal
import socket
import sys


def serve(listener):
    """Several of them may wait at the listener: who is not the first finds nothing there."""
    listener.setblocking(False)
    asleep, awake = socket.socketpair()
    awake.setblocking(False)
    signal.set_wakeup_fd(awake.fileno())
    signal.signal(signal.SIGTERM, lambda *_: None)
    with open(rest[1], encoding="utf-8") as overlay, open(overlay.readline().strip(), "w", encoding="utf-8") as pid_file:
        pid_file.write(f"{os.getpid()}\n")
    while asleep not in select.select([listener, asleep], [], [])[0]:
        with contextlib.suppress(BlockingIOError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(f"toy {os.environ['TOY_NUMBER']} {os.getpid()}\n".encode())


address, *rest = sys.argv[1:]
if rest == ["--where"]:
    print(address)
elif rest == ["--test"]:
    with open(3, encoding="utf-8") as asked:
        assert asked.read() == "asked\n"
    if os.path.exists(f"{address}.broken"):
        sys.exit("it is broken")
else:
    assert rest[0] == "--overlay", rest
    number, _, name = os.environ["TOY_SOCKETS"].partition("=")
    assert name.endswith("-toy.sock"), name
    serve(socket.socket(fileno=int(number)))
