# SPDX-License-Identifier: MIT
"""Waiting for events. Every wait has the same generous deadline; reaching it is a failure."""
import ctypes
import os
import select
import socket
import time

DEADLINE = 60.0

IN_CREATE, IN_MOVED_TO, IN_CLOEXEC = 0x100, 0x80, 0o2000000


class Timeout(AssertionError):
    pass


def readable(fds, what, deadline=DEADLINE):
    """Those of fds that are readable, at least one."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    events = poll.poll(deadline * 1000)
    if not events:
        raise Timeout(f"{what}: nothing in {deadline:g} s")
    return [fd for fd, _ in events]


def is_readable(fd):
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


class Ended:
    """A process held by its pidfd: waits for its end, even if it is not our child."""

    def __init__(self, pid):
        self.pid = pid
        self.fd = os.pidfd_open(pid)

    def alive(self):
        return not is_readable(self.fd)

    def wait(self, deadline=DEADLINE):
        readable([self.fd], f"end of process {self.pid}", deadline)

    def close(self):
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Appearance:
    """Waits for a file name to appear. Made before whatever makes the file."""

    def __init__(self, path):
        self.path = str(path)
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(IN_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        watch = libc.inotify_add_watch(self.fd, os.path.dirname(self.path).encode(), IN_CREATE | IN_MOVED_TO)
        if watch < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", os.path.dirname(self.path))

    def wait(self, deadline=DEADLINE):
        end = time.monotonic() + deadline
        while not os.path.lexists(self.path):
            readable([self.fd], f"appearance of {self.path}", end - time.monotonic())
            os.read(self.fd, 65536)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)


class Entries(Appearance):
    """Waits for a condition that holds once something has appeared in a directory."""

    def __init__(self, directory):
        super().__init__(os.path.join(directory, "."))

    def wait(self, holds, deadline=DEADLINE):  # pylint: disable=arguments-differ
        end = time.monotonic() + deadline
        while not holds():
            readable([self.fd], f"what is awaited in {self.path}", end - time.monotonic())
            os.read(self.fd, 65536)


class NotifySocket:
    """The supervisor's end of sd_notify(3)."""

    def __init__(self, path):
        self.path = str(path)
        self.messages = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)

    def wait(self, line, process):
        """Waits for a message with this line; process (Ended) must not end before."""
        end = time.monotonic() + DEADLINE
        while True:
            ready = readable([self.socket.fileno(), process.fd], f"{line} from process {process.pid}",
                             max(0, end - time.monotonic()))
            if self.socket.fileno() not in ready:
                raise AssertionError(f"process {process.pid} ended before {line}")
            message = self.socket.recv(65536).decode()
            self.messages.append(message)
            if line in message.split("\n"):
                return

    def drain(self):
        """Reads what waits now."""
        while is_readable(self.socket.fileno()):
            self.messages.append(self.socket.recv(65536).decode())

    def close(self):
        self.socket.close()
        os.unlink(self.path)


def fill(path):
    """Fills the queue of a datagram socket. Returns the number of messages."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        for number in range(1 << 16):
            try:
                client.sendto(b"filler", path)
            except BlockingIOError:
                return number
    raise AssertionError(f"{path} never is full")
