# SPDX-License-Identifier: MIT
"""A command on a terminal."""
import fcntl
import os
import pty
import struct
import subprocess
import termios

from harness.paths import HOLDFAST
from harness.process import Process, environment
from harness.wait import DEADLINE, readable


def on_terminal(*arguments, **more):
    """(status, everything it wrote), its lines ended as a terminal ends them."""
    ours, theirs = pty.openpty()
    try:
        child = subprocess.Popen([str(HOLDFAST), *map(str, arguments)], env=environment(**{"TERM": "xterm", **more}),
                                 stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
        os.close(theirs)
        written = b""
        while True:
            readable([ours], "output or end")
            try:
                written += os.read(ours, 65536)
            except OSError:  # EIO: nobody has the other end any more
                break
        return child.wait(DEADLINE), written.decode()
    finally:
        os.close(ours)


class Screen:
    """A terminal of a size, for a command that goes on."""

    def __init__(self, rows, columns):
        self.ours, self.theirs = pty.openpty()
        self.resize(rows, columns)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.ours)
        os.close(self.theirs)

    def resize(self, rows, columns):
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def start(self, *arguments):
        return Process([HOLDFAST, *arguments], env=environment(TERM="xterm"), stdin=subprocess.DEVNULL, stdout=self.theirs,
                       stderr=self.theirs)

    def read_until(self, end):
        """What was written up to and with end."""
        while end not in self.rest:
            readable([self.ours], f"{end!r} on the terminal")
            self.rest += os.read(self.ours, 65536)
        head, _, self.rest = self.rest.partition(end)
        return head + end
