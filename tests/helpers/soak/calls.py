# SPDX-License-Identifier: MIT
"""Commands of holdfast, and whether their ends were right."""
import contextlib
import subprocess
import time

from harness.paths import HOLDFAST
from harness.process import Process, environment
from harness.wait import DEADLINE, Timeout, readable

EXCUSE = "excuse"  # a command may fail meanwhile
BROKEN = "broken"  # and a reload or restart must
SLOW = 10  # seconds after which it is noted who is there


class Call:
    def __init__(self, name, verb):
        self.verb = verb
        self.begun = time.monotonic()
        self.ended = None
        self.process = Process([HOLDFAST, verb, f"--name={name}"], env=environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def is_over(self, seconds):
        """Waits so long for its end."""
        if self.ended is None:
            try:
                readable([self.process.ended.fd], self.verb, seconds)
            except Timeout:
                return False
            self.said = self.process.popen.stderr.read().decode(errors="replace").strip()
            self.process.popen.stderr.close()
            self.status = self.process.wait()
            self.ended = time.monotonic()
        return True


class Calls:
    def __init__(self, name, note):
        self.name = name
        self.note = note  # called when a command takes long
        self.open = []
        self.intervals = []  # [kind, begin, end]; end None: it goes on
        self.problems = []
        self.refused = 0
        self.done = 0

    def begin(self, kind):
        interval = [kind, time.monotonic(), None]
        self.intervals.append(interval)
        return interval

    @staticmethod
    def end(interval):
        interval[2] = time.monotonic()

    @contextlib.contextmanager
    def during(self, *kinds):
        """Something is wrong that commands feel."""
        intervals = [self.begin(kind) for kind in kinds]
        try:
            yield
        finally:
            for interval in intervals:
                self.end(interval)

    def run(self, verb, seconds=DEADLINE):
        """Waits so long for it; later it ends in the background."""
        call = Call(self.name, verb)
        self.open.append(call)
        if seconds and not call.is_over(min(seconds, SLOW)) and seconds > SLOW:
            self.note(verb)
            call.is_over(seconds - SLOW)
        self.tend()
        return call

    def tend(self, seconds=0):
        """Takes note of those that have ended."""
        for call in list(self.open):
            if call.is_over(seconds):
                self.open.remove(call)
                self.judge(call)
        oldest = min((call.begun for call in self.open), default=time.monotonic())
        self.intervals = [interval for interval in self.intervals if interval[2] is None or interval[2] >= oldest]

    def settle(self):
        self.tend(DEADLINE)
        self.problems += [f"holdfast {call.verb} does not end" for call in self.open]

    def judge(self, call):
        self.done += 1
        if call.status:
            self.refused += 1
            if call.verb != "rollback" and not any(
                    begin <= call.ended and (end is None or end >= call.begun) for _, begin, end in self.intervals):
                self.problems.append(f"holdfast {call.verb} failed, and nothing was wrong: {call.said}")
        elif call.verb in ("reload", "restart") and any(
                kind == BROKEN and begin <= call.begun and (end is None or end >= call.ended)
                for kind, begin, end in self.intervals):
            self.problems.append(f"holdfast {call.verb} took a broken configuration: {call.said}")

    def close(self):
        for call in self.open:
            call.process.stop(9)
            call.process.popen.stderr.close()
        self.open = []
