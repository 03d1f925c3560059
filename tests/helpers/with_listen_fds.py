#!/usr/bin/python3
"""Binds addresses and becomes a command with them, as systemd does for a .socket unit.

    with_listen_fds.py [NAME=]ADDRESS... -- COMMAND [ARG...]      ADDRESS: HOST:PORT or an absolute path
"""
import fcntl
import os
import socket
import sys

FIRST_FD = 3


def bind(address):
    if address.startswith("/"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        os.chmod(address, 0o666)
    else:
        host, _, port = address.rpartition(":")
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), int(port)))
    listener.listen(1024)
    return listener


def main():
    split = sys.argv.index("--")
    words = [word.rpartition("=") for word in sys.argv[1:split]]
    listeners = [bind(address) for _, _, address in words]
    # Out of the target range first, so that none is moved onto another.
    parked = [fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 100) for listener in listeners]
    for index, fd in enumerate(parked):
        os.dup2(fd, FIRST_FD + index, inheritable=True)
    os.closerange(FIRST_FD + len(parked), 256)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = str(len(parked))
    os.environ["LISTEN_FDNAMES"] = ":".join(name or "unknown" for name, _, _ in words)
    command = sys.argv[split + 1 :]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
