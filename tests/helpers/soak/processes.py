# SPDX-License-Identifier: MIT
"""php-fpm's processes: found, stopped, killed."""
import contextlib
import os
import pathlib
import signal
import time

from harness import process
from harness.wait import Ended, Timeout

STOP_DEADLINE = 5


def masters(holdfast):
    """Pids of the masters, those too whose holdfast has died: they became our children. A worker has its master's
    title for a moment, so the parent counts."""
    parents = {os.getpid()} | ({holdfast.pid} if holdfast.process.running() else set())
    return [pid for parent in parents for pid in process.children(parent)
            if process.command_line(pid).startswith("php-fpm: master process")]


def workers(site):
    """Pids of the workers of every generation."""
    titles = {f"php-fpm: pool {pool.name}" for pool in site.pools}
    return [pid for pid in process.pids() if process.command_line(pid) in titles]


def faces(site, holdfast):
    """What can be seen of everyone, a line each."""
    found = []
    for pid in [holdfast.pid, *masters(holdfast), *workers(site)]:
        try:
            facts = pathlib.Path(f"/proc/{pid}/status").read_text()
            waits = pathlib.Path(f"/proc/{pid}/wchan").read_text()
        except OSError:
            continue
        kept = [line for line in facts.splitlines() if line.startswith(("State", "PPid", "NSsid", "Sig", "ShdPnd"))]
        found.append(f"{pid} {process.command_line(pid)}: {waits}, {', '.join(kept)}".replace("\t", " "))
    return "\n".join(found)


def send(held, number):
    """False when it has ended."""
    try:
        signal.pidfd_send_signal(held.fd, number)
    except ProcessLookupError:
        return False
    return True


@contextlib.contextmanager
def hold(pid):
    """Its pidfd, or None when it has ended."""
    try:
        held = Ended(pid)
    except ProcessLookupError:
        yield None
        return
    with held:
        yield held


def freeze(held):
    """Stopped, and so at rest: it runs no instruction more. False when it has ended meanwhile."""
    if not send(held, signal.SIGSTOP):
        return False
    end = time.monotonic() + STOP_DEADLINE
    while held.alive():
        facts = process.stat(held.pid)
        if facts and facts[0] == "T":
            return True
        if time.monotonic() > end:
            raise Timeout(f"process {held.pid} does not stop: {facts}")
        os.sched_yield()
    return False


def sockets(pid):
    return [what for what in process.descriptors(pid).values() if what.startswith("socket:")]


def kill(held):
    """SIGKILL, and its end."""
    send(held, signal.SIGKILL)
    held.wait()
