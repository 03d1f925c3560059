"""A command on a terminal."""
import os
import pty
import subprocess

from harness.paths import HOLDFAST
from harness.process import environment
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
