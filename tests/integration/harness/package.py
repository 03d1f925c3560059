# SPDX-License-Identifier: MIT
"""The Debian package of this tree."""
import fcntl
import subprocess

from harness.paths import ROOT
from harness.process import environment


def build(directory):
    """Into a directory: its .deb. Those who build into the same one at a time share what the first has built."""
    directory.mkdir(exist_ok=True)
    with open(directory / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(directory.glob("*.changes")):
            made = subprocess.run([ROOT / "units/debian/build", directory], env=environment(), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            assert made.returncode == 0, made.stdout
    package, = directory.glob("holdfast_*.deb")
    return package
