# SPDX-License-Identifier: MIT
"""Several pytest processes side by side (pytest-xdist): each has runtime directories and ports of its own."""
import ctypes
import os
import pathlib
import subprocess
import tempfile

CLONE_NEWNS = 0x20000


def number():
    """Of this worker from 0 on; None when there is only one process."""
    name = os.environ.get("PYTEST_XDIST_WORKER")
    return int(name.removeprefix("gw")) if name else None


def ports():
    """The range that this worker takes its ports from, outside the ephemeral ones."""
    first, size = 20000, 10000
    share = size // count()
    begin = first + (number() or 0) * share
    return range(begin, begin + share)


def count():
    return int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))


def begin_with_long(items):
    """The tests in the order in which each worker has its share of the long ones first: to begin with, pytest-xdist gives
    each of them a quarter of its share in a row (LoadScheduling)."""
    seconds = {item: marker.args[0] for item in items if (marker := item.get_closest_marker("long"))}
    long = sorted(seconds, key=seconds.get, reverse=True)
    rest = [item for item in items if item not in seconds]
    first = max(len(items) // (4 * count()), 2)
    ordered = []
    for number in range(count()):
        share = long[number::count()][:first]
        more = first - len(share)
        ordered += share + rest[:more]
        del rest[:more]
    placed = set(ordered)
    return ordered + [item for item in long if item not in placed] + rest


def mount(kind, options, target):
    subprocess.run(["mount", "-t", kind, "-o", options, kind, str(target)], check=True)


def separate():
    """/run is this worker's own from here on: the same files, but what is made or removed is not seen elsewhere."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    layers = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-run-", dir="/dev/shm"))
    mount("tmpfs", "mode=0755", layers)
    (layers / "upper").mkdir()
    (layers / "work").mkdir()
    mount("overlay", f"lowerdir=/run,upperdir={layers}/upper,workdir={layers}/work", "/run")
    subprocess.run(["umount", "--lazy", str(layers)], check=True)
    layers.rmdir()
