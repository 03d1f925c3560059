# SPDX-License-Identifier: MIT
"""Episodes until the time is over: some things happen, then everything must recover."""
import random
import time

from soak import report
from soak.chaos import Chaos, kill_worker
from soak.checkpoint import Checkpoint
from soak.testbed import Testbed

LONGEST_EPISODE = 8  # things
MINUTE = 60


class Shaking:
    def __init__(self, options, tell):
        self.options, self.tell = options, tell
        self.problems = []
        self.episodes = 0
        self.testbed = Testbed(options)
        self.chaos = Chaos(self.testbed, random.Random(options.seed), self.trace)
        self.checkpoint = Checkpoint(self.chaos)
        self.begun = time.monotonic()

    def trace(self, text):
        """What is done, and when, goes beside the other logs."""
        with open(self.testbed.site.directory / "soak.log", "a") as stream:
            stream.write(f"{time.monotonic():.3f} {text}\n")

    def run(self):
        """What went wrong, in words."""
        self.testbed.start()
        self.problems = self.checkpoint.check()
        end = self.begun + self.options.seconds
        told = self.begun
        while not self.problems and time.monotonic() < end:
            self.episode()
            self.problems = self.checkpoint.check()
            if time.monotonic() - told >= MINUTE:
                told = time.monotonic()
                self.tell(f"{(told - self.begun) / MINUTE:.0f} min: {self.chaos.counts.total()} things happened, "
                          f"{report.line(self.testbed.ledger.summary())}")
        if self.options.unnoted_kill:
            kill_worker(self.chaos, note=False)
        if not self.problems:
            self.problems = self.testbed.stop() + self.testbed.ledger.final_problems()
        return self.problems

    def episode(self):
        self.episodes += 1
        self.trace(f"episode {self.episodes}")
        for _ in range(self.chaos.random.randint(1, LONGEST_EPISODE)):
            if time.monotonic() > self.begun + self.options.seconds:
                break
            self.chaos.act()
            self.chaos.pause()

    def result(self):
        """What was done, and what became of the requests."""
        done = {"episodes": self.episodes, "commands": self.chaos.calls.done,
                "commands that failed, with a reason": self.chaos.calls.refused}
        return "".join([report.table("done", {**dict(sorted(self.chaos.counts.items())), **done}),
                        report.table("requests", self.testbed.ledger.summary()),
                        report.table("holdfast, at the first and the last checkpoint", self.checkpoint.summary())])

    def found(self):
        return self.chaos.found()

    def logs(self):
        return {"soak.log": self.testbed.site.directory / "soak.log", **self.testbed.logs()}

    def close(self):
        self.chaos.calls.close()
        self.testbed.close()
