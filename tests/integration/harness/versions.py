# SPDX-License-Identifier: MIT
"""Who was answered by which version, and who got an old one too late."""
import threading
import time

from harness.wait import DEADLINE


class Versions:
    """Asks again and again, and notes when each request began and what version answered."""

    def __init__(self, ask):
        self.ask, self.asked, self.problems = ask, [], []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.over.is_set():
            began = time.monotonic()
            try:
                version = self.ask()
            except (OSError, ValueError) as problem:
                self.problems.append(problem)
                continue
            self.asked.append((began, time.monotonic(), version))

    def end(self):
        """[(when it began, when it ended, version)]"""
        self.over.set()
        for thread in self.threads:
            thread.join(DEADLINE)
        assert not self.problems, self.problems
        return self.asked


def went_back(asked):
    """asked: [(when it began, when it ended, version)]. Requests that began after the first answer of a newer version,
    and got an older one: [(when it began, version)]."""
    first = {}
    for _, ended, version in sorted(asked, key=lambda one: one[1]):
        first.setdefault(version, ended)
    newer, earliest = {}, float("inf")
    for version, ended in reversed(first.items()):
        newer[version] = earliest
        earliest = min(earliest, ended)
    return [(began, version) for began, _, version in asked if began > newer[version]]
