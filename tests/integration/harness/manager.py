# SPDX-License-Identifier: MIT
"""What systemd is to the main process of a unit with FileDescriptorStoreMax= and KillMode=process: keeps what it is
sent with FDSTORE=1, and starts the next one with it. sd_notify(3), sd_listen_fds(3)."""
import array
import os
import pathlib
import socket
import subprocess
import sys
import threading

from harness.holdfast import Holdfast
from harness.lines import Lines
from harness.process import Process, environment
from harness.wait import DEADLINE, Ended, fill, is_readable, readable

HELPER = pathlib.Path(__file__).parents[2] / "helpers" / "with_listen_fds.py"
AS_MAIN_PROCESS = ["/bin/sh", "-c", 'SYSTEMD_EXEC_PID=$$ exec "$@"', "sh"]
FDS_MAX = 64


class Store(threading.Thread):
    """The manager's end of NOTIFY_SOCKET."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = str(path)
        self.entries = []  # (name, fd)
        self.ready = 0  # READY=1 so far
        self.messages = []
        self.marks = 0  # of read_all() that were reached
        self.changed = threading.Condition()
        self.reads = threading.Event()  # it does
        self.reads.set()
        self.news = os.eventfd(0)  # readable when there is something new
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.start()

    def run(self):
        while True:
            text, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(FDS_MAX * 4))
            fds = array.array("i")
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(data[: len(data) - len(data) % 4])
            if text == b"quit":
                return
            if text == b"stop reading":
                self.reads.wait(DEADLINE)
                continue
            if text == b"mark":
                with self.changed:
                    self.marks += 1
                    self.changed.notify_all()
                continue
            self.take(dict(line.partition("=")[::2] for line in text.decode().split("\n") if line), list(fds))

    def take(self, message, fds):
        with self.changed:
            self.messages.append(message)
            self.ready += message.get("READY") == "1"
            name = message.get("FDNAME", "stored")
            assert ":" not in name
            if message.get("FDSTORE") == "1":
                for fd in fds:
                    self.add(name, fd)
            elif message.get("FDSTOREREMOVE") == "1":
                self.remove(name)
            self.changed.notify_all()
        os.eventfd_write(self.news, 1)

    def add(self, name, fd):
        """What is in it already is not stored again (there: kcmp)."""
        kind = os.readlink(f"/proc/self/fd/{fd}")
        inode = os.fstat(fd).st_ino
        for other, stored in self.entries:
            if other == name and os.readlink(f"/proc/self/fd/{stored}") == kind and os.fstat(stored).st_ino == inode:
                if "pidfd" not in kind:
                    os.close(fd)
                    return
        self.entries.append((name, fd))

    def remove(self, name):
        for other, fd in self.entries:
            if other == name:
                os.close(fd)
        self.entries = [entry for entry in self.entries if entry[0] != name]

    def drop_ended(self):
        """A pidfd whose process has ended is dropped."""
        for name, fd in list(self.entries):
            if "pidfd" in os.readlink(f"/proc/self/fd/{fd}") and is_readable(fd):
                os.close(fd)
                self.entries.remove((name, fd))

    def is_ready(self, count, process):
        """Waits for so many READY=1 in all, or for the end of the process: false."""
        while self.ready < count:
            if self.news not in readable([self.news, process.fd], f"READY=1 number {count}"):
                return False
            os.eventfd_read(self.news)
        return True

    def wait_ready(self, count, process):
        assert self.is_ready(count, process), f"READY=1 number {count} did not come"

    def send(self, text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.sendto(text, self.path)

    def stop_reading(self):
        """As a manager that hangs: its queue is full then."""
        self.reads.clear()
        self.send(b"stop reading")
        fill(self.path)

    def read_again(self):
        self.reads.set()

    def read_all(self):
        """Returns when everything that was sent until now has been read."""
        with self.changed:
            awaited = self.marks + 1
            self.send(b"mark")
            assert self.changed.wait_for(lambda: self.marks >= awaited, DEADLINE)

    def names(self):
        self.read_all()
        with self.changed:
            return sorted(name for name, _ in self.entries)

    def wait_for(self, good):
        """The names, once they are as they are to be."""
        with self.changed:
            assert self.changed.wait_for(lambda: good([name for name, _ in self.entries]), DEADLINE), self.entries
            return sorted(name for name, _ in self.entries)

    def quit(self):
        self.reads.set()
        self.send(b"quit")
        self.join(DEADLINE)
        for _, fd in self.entries:
            os.close(fd)
        self.socket.close()
        os.close(self.news)
        os.unlink(self.path)


class ManagedHoldfast(Holdfast):
    """A holdfast below such a manager."""

    def __init__(self, site, *options, command=None, env=None, group=None, **more):
        super().__init__(site, options, command, env=env, **more)
        self.store = Store(site.directory / "manager")
        self.starts = 0
        self.activated = []  # (name, fd) of a .socket unit, passed at each start
        self.entering = group.wrap("env") if group else []  # the cgroup of its unit
        self.wrapper = []

    def launch(self):
        """As systemd does: with what the store has, and nothing else."""
        with self.store.changed:
            self.store.drop_ended()
            entries = [*self.activated, *self.store.entries]
        words = [f"{name}={fd}" for name, fd in entries]
        passing = [sys.executable, HELPER, *words, "--"] if words else []
        command = [*self.entering, *passing, *self.wrapper, *AS_MAIN_PROCESS, *self.command]
        self.process = Process(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True,
                               pass_fds=[fd for _, fd in entries],
                               env=environment(NOTIFY_SOCKET=self.store.path, **self.env))
        self.lines = Lines(self.process.popen.stderr)
        self.starts += 1

    def start(self):
        ready = self.store.ready
        self.launch()
        try:
            self.store.wait_ready(ready + 1, self.process.ended)
        except AssertionError as problem:
            raise AssertionError(f"{problem}; it said:\n{self.lines.text()}") from None

    def stop(self, number=15):
        """systemd empties the store after a real stop."""
        status = self.process.stop(number)
        assert status == 0, f"status {status}; the log:\n{self.lines.text()}"

    def close(self):
        super().close()
        self.store.quit()


def killed(pid):
    """SIGKILL, and its end."""
    with Ended(pid) as process:
        os.kill(pid, 9)
        process.wait()
