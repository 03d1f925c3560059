# SPDX-License-Identifier: MIT
"""Every request that was sent and its fate; a failure is excused by the kill of the worker that was at it."""
import collections
import dataclasses
import json
import signal
import threading

from harness.process import Process
from harness.tools import Load
from harness.wait import DEADLINE


@dataclasses.dataclass
class Kill:
    """A worker that the soak killed within a request."""

    moment: float  # CLOCK_MONOTONIC, before the signal
    pid: int
    request: str


class Follower(Load):
    """A load that tells each request as it ends. take is called with it, in a thread of its own."""

    def __init__(self, url, prefix, take, **options):
        self.prefix = prefix
        self.requests = None  # that were sent, once it has ended
        super().__init__(url, path=f"/soak.php?id={prefix}{{n}}", follow=True, duration=1e9, requests=10**9, **options)
        self._thread = threading.Thread(target=self._follow, args=(take,), daemon=True)
        self._thread.start()

    def _follow(self, take):
        for line in self.process.popen.stdout:
            entry = json.loads(line)
            if "requests" in entry:
                self.requests = entry["requests"]
            else:
                take(f"{self.prefix}{entry['number']}", entry)

    def finish(self):
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "the load does not end"
        self.process.popen.stdout.close()
        status = self.process.wait()
        assert status == 0 and self.requests is not None, f"the load failed with status {status}"
        self.result = {"requests": self.requests}
        return self.result

    def abandon(self):
        if self.result is None:
            self.process.stop(signal.SIGKILL)
            self._thread.join(DEADLINE)
            self.process.popen.stdout.close()


class Ledger:
    def __init__(self, journal):
        self.journal = journal
        self.loads = []
        self.kills = {}  # request: Kill
        self.answered = 0
        self.failed = {}  # request: entry
        self.seen = set()
        self.slowest = 0.0
        self.wrong = []  # answers that are not what they should be
        self._lock = threading.Lock()

    def follow(self, url, prefix, **options):
        self.loads.append(Follower(url, prefix, self.take, **options))
        return self.loads[-1]

    def take(self, request, entry):
        with self._lock:
            if request in self.seen:
                self.wrong.append(f"{request} ended twice")
            self.seen.add(request)
            if entry["error"] or entry["status"] != 200:
                self.failed[request] = entry
                return
            self.answered += 1
            self.slowest = max(self.slowest, entry["latency"])
            if not entry["body"].startswith(f"soak {request} "):
                self.wrong.append(f"{request} was answered with: {entry['body']}")

    def note(self, kill):
        self.kills[kill.request] = kill

    def is_excused(self, request, entry):
        kill = self.kills.get(request)
        return kill is not None and entry["status"] == 502 and entry["sent"] <= kill.moment <= ended(entry)

    def excused(self):
        with self._lock:
            return [request for request, entry in self.failed.items() if self.is_excused(request, entry)]

    def problems(self):
        """What is wrong so far, in words."""
        with self._lock:
            found = list(self.wrong)
            for request, entry in self.failed.items():
                if not self.is_excused(request, entry):
                    found.append(f"{request} failed, and nobody had killed its worker: {describe(entry)}")
        return found

    def final_problems(self):
        """Once every load has ended."""
        found = self.problems()
        sent = {f"{load.prefix}{number}" for load in self.loads for number in range(load.requests)}
        found += [f"{request} was sent and its end is not known" for request in sorted(sent - self.seen)]
        found += [f"{request} was answered although its worker was killed (pid {kill.pid})"
                  for request, kill in self.kills.items() if request not in self.failed]
        self.journal.read()
        found += [f"{request} was begun {times} times" for request, times in self.journal.begun.items() if times > 1]
        found += [f"{request} was answered and never begun"
                  for request in sorted(self.seen - set(self.failed) - set(self.journal.begun))]
        return found

    def kinds(self):
        with self._lock:
            return dict(collections.Counter(entry["error"] or str(entry["status"]) for entry in self.failed.values()))

    def summary(self):
        excused = len(self.excused())
        failed = len(self.failed)
        return {"requests": self.answered + failed, "answered": self.answered, "failed": failed,
                "their worker was killed": excused, "unexplained": failed - excused,
                "slowest answer": f"{self.slowest:.2f} s"}


def ended(entry):
    return entry["at"] + entry["latency"]


def describe(entry):
    what = entry["error"] or f"status {entry['status']}"
    return f"{what}, sent at {entry['sent']:.3f}, ended at {ended(entry):.3f}"
