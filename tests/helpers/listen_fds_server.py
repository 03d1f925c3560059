#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A server of the listen-fds convention (sd_listen_fds(3)), strict about it: leaves with a message when
anything is not as promised. Answers each connection with one JSON line and closes it; drains on TERM
and QUIT.
"""
import json
import os
import selectors
import signal
import socket
import sys

FIRST_FD = 3


def tell(text):
    if "NOTIFY_SOCKET" in os.environ:
        path = os.environ["NOTIFY_SOCKET"]
        address = "\0" + path[1:] if path.startswith("@") else path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), address)


def main():
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        sys.exit(f"LISTEN_PID is {os.environ.get('LISTEN_PID')}, the pid is {os.getpid()}")
    count = int(os.environ["LISTEN_FDS"])
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    if len(names) != count:
        sys.exit(f"{count} descriptors, but the names {names}")
    extra = [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd >= FIRST_FD + count]
    # One of them is the directory that listdir read.
    if len(extra) > 1:
        sys.exit(f"more descriptors than promised: {extra}")

    left, wakeup = socket.socketpair()
    left.setblocking(False)
    wakeup.setblocking(False)
    signal.set_wakeup_fd(wakeup.fileno())
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)

    selector = selectors.DefaultSelector()
    selector.register(left, selectors.EVENT_READ, None)
    for index, name in enumerate(names):
        listener = socket.socket(fileno=FIRST_FD + index)
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sys.exit(f"descriptor {FIRST_FD + index} does not listen")
        selector.register(listener, selectors.EVENT_READ, name)
    tell("READY=1")
    while True:
        for key, _ in selector.select():
            if key.data is None:
                return
            connection, _ = key.fileobj.accept()
            with connection:
                connection.sendall(json.dumps({"pid": os.getpid(), "name": key.data}).encode() + b"\n")


if __name__ == "__main__":
    main()
