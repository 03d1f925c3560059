# SPDX-License-Identifier: MIT
"""Processes: our own, those left over, and what they hold."""
import contextlib
import ctypes
import os
import pathlib
import resource
import signal
import subprocess
import threading

from harness.wait import DEADLINE, Ended

PR_SET_CHILD_SUBREAPER = 36
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_ours = {}


def become_subreaper():
    """Whatever outlives its parents becomes our child, and so can be seen."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def environment(**more):
    """A clean environment: no LISTEN_*, NOTIFY_SOCKET or RUNTIME_DIRECTORY of an outer supervisor."""
    kept = {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS") or name == "PHP_INI_SCAN_DIR"}
    return {"PATH": PATH, "LANG": "C.UTF-8", "HOME": "/root", **kept, **more}


class Process:
    """A child of the test with a pidfd."""

    def __init__(self, command, **options):
        self.popen = subprocess.Popen([str(word) for word in command], **options)
        self.pid = self.popen.pid
        self.ended = Ended(self.pid)
        _ours[self.pid] = self

    def running(self):
        return self.popen.returncode is None and self.ended.alive()

    def send(self, number):
        signal.pidfd_send_signal(self.ended.fd, number)

    def wait(self, deadline=DEADLINE):
        if self.popen.returncode is None:
            self.ended.wait(deadline)
            self.popen.wait()
            self.ended.close()
            del _ours[self.pid]
        return self.popen.returncode

    def stop(self, number=signal.SIGTERM, deadline=DEADLINE):
        if self.popen.returncode is None:
            if self.ended.alive():
                self.send(number)
            self.wait(deadline)
        return self.popen.returncode


def stat(pid):
    """(state, ppid, session) of a process, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as stream:
            text = stream.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1]), int(fields[3])


class States(threading.Thread):
    """Every state that a process is seen in, from now until it ends."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.seen = set()
        self._news = threading.Condition()
        self.start()

    def run(self):
        while facts := stat(self.pid):
            if facts[0] not in self.seen:
                with self._news:
                    self.seen.add(facts[0])
                    self._news.notify_all()
            os.sched_yield()

    def wait(self, state):
        with self._news:
            assert self._news.wait_for(lambda: state in self.seen, DEADLINE), self.seen


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid):
    """Live children of a process; zombies are none."""
    found = []
    for other in pids():
        facts = stat(other)
        if facts and facts[1] == pid and facts[0] != "Z":
            found.append(other)
    return found


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("latin-1").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_killed(pid):
    """Has it been sent SIGKILL, or ended? It has not necessarily been scheduled since."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="latin-1")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return any(int(line.split()[1], 16) >> signal.SIGKILL - 1 & 1 for line in status.splitlines() if line[3:7] == "Pnd:")


def strays():
    """Live children that we did not start: they outlived the processes that started them."""
    found = [pid for pid in children(os.getpid()) if pid not in _ours]
    for pid in filter(is_killed, found):
        with contextlib.suppress(ProcessLookupError), Ended(pid) as killed:
            killed.wait()
    return [pid for pid in children(os.getpid()) if pid in found]


def reap_strays():
    """Reaps processes that ended after they became our children."""
    for pid in pids():
        facts = stat(pid)
        if facts and facts[:2] == ("Z", os.getpid()) and pid not in _ours:
            os.waitpid(pid, 0)


def end_strays():
    """For a test that has failed or that leaves something on purpose."""
    found = strays()
    for pid in found:
        for member in [pid, *descendants(pid)]:
            try:
                with Ended(member) as process:
                    signal.pidfd_send_signal(process.fd, signal.SIGKILL)
                    process.wait()
            except ProcessLookupError:
                pass
    reap_strays()
    return found


def descriptors(pid):
    """{fd: what it is} of a process."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            pass
    return found


@contextlib.contextmanager
def exhausted(pid, spare=0):
    """The process can open no more descriptors, or so many; it may end meanwhile."""
    used = descriptors(pid)
    lowest = next(fd for fd in range(len(used) + 1) if fd not in used)
    before, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest + spare, hard))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (before, hard))
