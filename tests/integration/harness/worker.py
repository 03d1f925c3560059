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
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    share = size // count
    begin = first + (number() or 0) * share
    return range(begin, begin + share)


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
