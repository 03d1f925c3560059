# SPDX-License-Identifier: MIT
"""Calls of holdfast to libc and libsystemd that fail when a test says so (helpers/failing.c), each with those that led to it."""
import bisect
import contextlib
import errno
import functools
import mmap
import struct
import subprocess

from harness.paths import LIBRARIES

PROGRAM = LIBRARIES.parent / "tests" / "holdfast-failing"
HEAD = struct.Struct("=4I")  # armed, error, hits, paused
PLACE = struct.Struct("=8I")  # key, count, frames
PLACES = 8192
# the runtime's, not the program's
NOT_ITS_OWN = ("gcov", "__gcov_read", "__gcov_write", "__gcov_seek", "__gcov_open", "__gcov_close", "__gcov_dump",
               "__gcov_exit", "__gcov_magic", "__asan", "__ubsan", "hf_fails_here")


@functools.cache
def functions():
    """([address], [name]) in order."""
    result = subprocess.run(["nm", "--defined-only", "-n", PROGRAM], capture_output=True, text=True, check=True)
    words = [line.split() for line in result.stdout.splitlines()]
    first = next(int(address, 16) for address, _, name in words if name == "__executable_start")
    known = [(int(address, 16) - first, name) for address, kind, name in words if kind in "tTwW"]
    return [address for address, _ in known], [name for _, name in known]


def name_of(offset):
    addresses, names = functions()
    return names[bisect.bisect_right(addresses, offset - 1) - 1]


class Failing:
    """The file that all processes of a test share."""

    def __init__(self, directory):
        self.path = directory / "failing"
        self.path.write_bytes(bytes(HEAD.size + PLACES * PLACE.size))
        self.path.chmod(0o666)
        with open(self.path, "r+b") as stream:
            self.shared = mmap.mmap(stream.fileno(), 0)

    @property
    def environment(self):
        return {"HOLDFAST_FAILING": str(self.path)}

    def forget(self):
        """Places that are come to from now on are seen()."""
        for at in range(HEAD.size, len(self.shared), PLACE.size):
            if self.shared[at + 4:at + 8] != b"\0\0\0\0":
                self.shared[at + 4:at + 8] = b"\0\0\0\0"

    def seen(self):
        """{key: frames}"""
        found = {}
        for at in range(HEAD.size, len(self.shared), PLACE.size):
            key, count, *frames = PLACE.unpack_from(self.shared, at)
            if count and not name_of(frames[0]).startswith(NOT_ITS_OWN):
                found[key] = frames
        return found

    def arm(self, key, error=None):
        HEAD.pack_into(self.shared, 0, key, getattr(errno, error) if error else 0, 0, 0)

    @contextlib.contextmanager
    def paused(self):
        """Meanwhile nothing fails and nothing is seen."""
        self.shared[12:16] = struct.pack("=I", 1)
        yield
        self.shared[12:16] = struct.pack("=I", 0)

    def disarm(self):
        """Returns whether it failed."""
        _, _, hits, _ = HEAD.unpack_from(self.shared)
        HEAD.pack_into(self.shared, 0, 0, 0, 0, 0)
        return hits > 0


def describe(frames):
    """By addr2line(1): function and line of each."""
    offsets = [hex(offset - 1) for offset in frames if offset]
    result = subprocess.run(["addr2line", "-fse", PROGRAM, *offsets], capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    return " < ".join(f"{name} {place}" for name, place in zip(lines[::2], lines[1::2]))
