# SPDX-License-Identifier: MIT
"""Control groups of a test's own."""
import contextlib
import os
import pathlib
import uuid

from harness.process import Process


def mounts(kind):
    """[(where, options)] of the mounted hierarchies of a kind: cgroup or cgroup2."""
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        dash = words.index("-")
        if words[dash + 1] == kind and words[3] == "/":
            found.append((pathlib.Path(words[4]), words[dash + 3].split(",")))
    return found


class Cgroup:
    """A directory that goes with the test."""

    def __init__(self, hierarchy, suffix=""):
        self.path = hierarchy / f"holdfast-test-{uuid.uuid4().hex[:12]}{suffix}"
        self.path.mkdir()

    def delegate(self):
        """As systemd's Delegate=yes says it."""
        os.setxattr(self.path, "user.delegate", b"1")

    def write(self, name, text):
        (self.path / name).write_text(text)

    def wrap(self, program):
        """To call program so that it begins in here."""
        return ["sh", "-c", f'echo 0 >{self.path}/cgroup.procs && exec "$0" "$@"', program]

    def below(self):
        return sorted(path.name for path in self.path.iterdir() if path.is_dir())

    def processes(self, name="."):
        return [int(pid) for pid in (self.path / name / "cgroup.procs").read_text().split()]

    def put(self, name):
        """A process in a cgroup below."""
        (self.path / name).mkdir()
        return Process(["sh", "-c", f"echo 0 >{self.path / name}/cgroup.procs && exec sleep 300"])

    def close(self):
        for name in self.below():
            with contextlib.suppress(OSError):
                (self.path / name).rmdir()
        self.path.rmdir()


def unified(suffix=""):
    """A v2 cgroup, named as systemd names a unit's with suffix .service, or None where none can be made."""
    for where, _ in mounts("cgroup2"):
        with contextlib.suppress(OSError):
            return Cgroup(where, suffix)
    return None


def hierarchies(controller):
    """Where cgroups with it can be made, v1 or v2."""
    found = [where for where, options in mounts("cgroup") if controller in options]
    return found + [where for where, _ in mounts("cgroup2")
                    if controller in (where / "cgroup.subtree_control").read_text().split()]


def counted():
    """A v1 or v2 cgroup whose number of processes can be limited (pids.max), or None."""
    for where in hierarchies("pids"):
        with contextlib.suppress(OSError):
            return Cgroup(where)
    return None


def limited(bytes_of_memory):
    """A v1 or v2 cgroup that may use so much memory and no swap, or None."""
    for where in hierarchies("memory"):
        with contextlib.suppress(OSError):
            group = Cgroup(where)
            if (group.path / "memory.max").exists():
                group.write("memory.max", str(bytes_of_memory))
                group.write("memory.swap.max", "0")
            else:
                group.write("memory.limit_in_bytes", str(bytes_of_memory))
                group.write("memory.swappiness", "0")
            return group
    return None
