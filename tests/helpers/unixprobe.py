#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Connects to a unix socket at a fixed rate until SIGTERM and prints, as JSON, how often it tried and
which errno each failed connect() gave. It never blocks: a full backlog is the failure nginx would see.

    unixprobe.py PATH [RATE]
"""
import collections
import errno
import json
import signal
import socket
import sys
import time

ATTEMPTS_MAX = 600000


def connect(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        return probe.connect_ex(path)


def main():
    path = sys.argv[1]
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 1000.0
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    failures = collections.Counter()
    attempts = 0
    start = time.monotonic()
    print("started", flush=True)
    while attempts < ATTEMPTS_MAX:
        result = connect(path)
        attempts += 1
        if result:
            failures[errno.errorcode.get(result, str(result))] += 1
        pause = start + attempts / rate - time.monotonic()
        if signal.sigtimedwait({signal.SIGTERM, signal.SIGINT}, max(pause, 0)):
            break
    print(json.dumps({"attempts": attempts, "failed": sum(failures.values()), "failures": dict(failures)}))


if __name__ == "__main__":
    main()
