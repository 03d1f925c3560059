# SPDX-License-Identifier: MIT
"""System calls of a holdfast that fail when a test says so (helpers/watched.py, seccomp_unotify(2))."""
import collections
import errno
import fcntl
import functools
import os
import select
import socket
import struct
import subprocess
import threading

from harness.paths import HELPERS, HOLDFAST
from harness.wait import DEADLINE

RECEIVE, SEND, IS_VALID = 0xC0502100, 0xC0182101, 0x40082102  # ioctls: SECCOMP_IOCTL_NOTIF_*
NOTICE = struct.Struct("=QIIiIQ6Q")  # id, pid, flags; number, architecture, instruction, arguments
ANSWER = struct.Struct("=QqiI")  # id, value, error, flags
GO_ON = 1
PATH_OF = {"openat": 1, "newfstatat": 1}
# of what fails only when it makes something: epoll_ctl's ADD, fcntl's F_DUPFD and F_DUPFD_CLOEXEC
ONLY = {"epoll_ctl": (1, {1}), "fcntl": (1, {0, 1030})}
# what the dynamic linker and the sanitizers open
NOT_ITS_OWN = ("/lib", "/usr/lib", "/etc/ld.so", "/proc/self/maps", "/proc/self/cmdline", "/proc/self/environ",
               "/proc/self/auxv", "/proc/self/task", "/proc/self/status")


@functools.cache
def numbers():
    """{name: number} of all system calls here."""
    result = subprocess.run(["gcc", "-E", "-dM", "-include", "asm/unistd.h", "-xc", "/dev/null"], capture_output=True,
                            text=True, check=True)
    words = [line.split() for line in result.stdout.splitlines() if line.startswith("#define __NR_")]
    return {name.removeprefix("__NR_"): int(value) for _, name, value in words if value.isdigit()}


def text_at(pid, address):
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(64).partition(b"\0")[0].decode("latin-1")
    except OSError:
        return ""


def heap_end(pid):
    with open(f"/proc/{pid}/maps") as maps:
        return next((int(line.split()[0].partition("-")[2], 16) for line in maps if line.endswith("[heap]\n")), 1 << 64)


class Faults(threading.Thread):
    """Lets everything go on but the one call that is armed. It counts what the main process asks for, or with
    children what its children do before they are another program."""

    def __init__(self, directory, calls):
        super().__init__(daemon=True)
        self.names = {numbers()[name]: name for name in calls if name in numbers()}
        self.path = directory / "faults"
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(self.path))
        self.listening.listen()
        self.closing = os.eventfd(0)
        self.poll = select.poll()
        for fd in (self.listening.fileno(), self.closing):
            self.poll.register(fd, select.POLLIN)
        self.lock = threading.Lock()
        self.main = 0
        self.counts = collections.Counter()
        self.rule = None
        self.hit = 0
        self.start()

    @property
    def wrapper(self):
        return [HELPERS / "watched.py", self.path, ",".join(map(str, self.names)), "--", HOLDFAST]

    def arm(self, call, error, nth, times=1, children=False):
        """The nth such call (or one of several) from now on fails, and those after it up to times."""
        with self.lock:
            self.rule = (call, getattr(errno, error), range(nth, nth + times), children)
        self.rearm()

    def rearm(self):
        """What is armed counts from now on."""
        with self.lock:
            self.counts.clear()
            self.hit = 0

    def count(self, children=False):
        """From now on, and none fails."""
        self.arm(None, "EIO", 1, children=children)

    def disarm(self):
        """Returns how many failed, and what was counted."""
        with self.lock:
            self.rule = None
            return self.hit, dict(self.counts)

    def run(self):
        while True:
            for fd, events in self.poll.poll():
                if fd == self.closing:
                    return
                if fd == self.listening.fileno():
                    self.take()
                elif events & select.POLLIN:
                    self.decide(fd)
                else:
                    self.poll.unregister(fd)
                    os.close(fd)

    def take(self):
        connection, _ = self.listening.accept()
        with connection:
            self.main = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            connection.settimeout(DEADLINE)
            _, fds, _, _ = socket.recv_fds(connection, 1, 1)
        for fd in fds:
            self.poll.register(fd, select.POLLIN)

    def decide(self, fd):
        notice = bytearray(NOTICE.size)
        try:
            fcntl.ioctl(fd, RECEIVE, notice)
            identity, pid, _, number, _, _, *arguments = NOTICE.unpack(notice)
            error = self.verdict(self.names[number], pid, arguments)
            value = heap_end(pid) if error and self.names[number] == "brk" else 0  # which tells by that
            fcntl.ioctl(fd, SEND, ANSWER.pack(identity, value, 0 if value else -error, 0 if error else GO_ON))
        except FileNotFoundError:  # who asked was killed
            pass

    def verdict(self, name, pid, arguments):
        with self.lock:
            if not self.rule:
                return 0
            call, error, which, children = self.rule
            if children == (pid == self.main) or not self.is_ours(name, pid, arguments):
                return 0
            self.counts[name] += 1
            calls = call if isinstance(call, tuple) else (call,)
            if name not in calls or sum(self.counts[one] for one in calls) not in which:
                return 0
            self.hit += 1
            return error

    @staticmethod
    def is_ours(name, pid, arguments):
        try:
            if os.readlink(f"/proc/{pid}/exe") != str(HOLDFAST.resolve()):
                return False
        except OSError:
            return False
        if name in ONLY and arguments[ONLY[name][0]] not in ONLY[name][1]:
            return False
        if name == "brk" and arguments[0] <= heap_end(pid):  # it looks, or gives back
            return False
        if name == "write" and arguments[0] == 2:  # its log
            return False
        path = text_at(pid, arguments[PATH_OF[name]]) if name in PATH_OF else "/"
        return path != "" and not path.startswith(NOT_ITS_OWN)

    def close(self):
        os.eventfd_write(self.closing, 1)
        self.join(DEADLINE)
        self.listening.close()
        os.close(self.closing)
