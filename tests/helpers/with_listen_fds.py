#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Becomes a command with sockets as systemd passes those of a .socket unit (sd_listen_fds(3)).

    with_listen_fds.py [NAME=]FD... -- COMMAND [ARG...]      FD: an inherited listening socket
"""
import fcntl
import os
import sys

FIRST_FD = 3


def main():
    split = sys.argv.index("--")
    words = [word.rpartition("=") for word in sys.argv[1:split]]
    # Out of the target range first, so that none is moved onto another.
    parked = [fcntl.fcntl(int(fd), fcntl.F_DUPFD_CLOEXEC, 100) for _, _, fd in words]
    os.closerange(FIRST_FD, 100)
    for index, fd in enumerate(parked):
        os.dup2(fd, FIRST_FD + index)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = str(len(parked))
    os.environ["LISTEN_FDNAMES"] = ":".join(name or "unknown" for name, _, _ in words)
    command = sys.argv[split + 1 :]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
