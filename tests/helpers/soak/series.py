# SPDX-License-Identifier: MIT
"""Many replacements in a row under load, and what they leave."""
import os
import pathlib
import re
import time

from harness import net, process, words
from harness.paths import HOLDFAST
from harness.site import Site
from harness.tools import Load

from soak import report

SMALL_SERVER = HOLDFAST.parents[1] / "tests" / "small-server"
WARM_UP = 100  # replacements, until every list of the last ones is full
DRAINING = 5  # generations at most, in any order
MINUTE = 60
MEMORY = "memory of its own, kB"


def small(site, rate):
    """A server that starts in a moment, asked directly: nobody hides a refused connection."""
    address = f"127.0.0.1:{net.free_port()}"
    site.pools[:] = []
    holdfast = site.holdfast(f"--listen={address}", "--ready=notify", "--handover=at-once", command=[SMALL_SERVER])
    load = Load(f"http://{address}", rate=rate, slow_share=0, path="/", duration=1e9, requests=10**9)
    site.at_close(load.abandon)
    return holdfast, load


def php_fpm(site, rate):
    """php-fpm behind nginx, 5 % of the requests 300 ms long."""
    holdfast = site.holdfast("--handover=at-once")
    return holdfast, site.load(rate=rate, duration=1e9, requests=10**9)


SERVICES = {"small": small, "php-fpm": php_fpm}


class Series:
    def __init__(self, options, tell):
        self.options, self.tell = options, tell
        self.site = Site()
        self.lines = []
        self.holdfast = None
        self.done = 0  # replacements

    def run(self):
        """What went wrong, in words."""
        self.holdfast, load = SERVICES[self.options.service](self.site, self.options.rate)
        with open(HOLDFAST, "rb") as program:
            os.fsync(program.fileno())  # what was just built counts as dirty memory until then
        problems = self.replace("reload", min(WARM_UP, max(self.options.reloads, self.options.restarts)))
        before = self.measure()
        for verb, count in (("reload", self.options.reloads), ("restart", self.options.restarts)):
            problems = problems or self.replace(verb, count)
        after = self.measure()
        figures = load.stop()
        self.lines.append(report.table("requests", {
            name: figures[name] for name in ("requests", "failed", "p50_ms", "p99_ms", "p999_ms", "slowest_ms")}))
        self.lines.append(report.table("holdfast", {
            name: f"{before[name]} -> {after[name]}" for name in before if name != "file names"}))
        problems += [f"{entry}" for entry in load.failed()[:20]]
        problems += growth(before, after, self.options.growth)
        self.holdfast.stop()
        return problems

    def replace(self, verb, count):
        begun = told = time.monotonic()
        slowest = 0.0
        for number in range(count):
            start = time.monotonic()
            result = self.holdfast.call(verb)
            slowest = max(slowest, time.monotonic() - start)
            if result.returncode:
                return [f"{verb} {number + 1} failed: {result.stderr}"]
            self.done += 1
            if time.monotonic() - told >= MINUTE:
                told = time.monotonic()
                self.tell(f"{(told - begun) / MINUTE:.0f} min: {number + 1} of {count} {verb}s")
        if count:
            seconds = time.monotonic() - begun
            self.lines.append(report.table(f"{verb}s", {
                "done": count, "seconds": f"{seconds:.1f}", "each": f"{seconds / count * 1000:.1f} ms",
                "slowest": f"{slowest * 1000:.1f} ms"}))
        return []

    def measure(self):
        """Once nothing is under way."""
        for number in range(max(1, self.done - DRAINING), self.done + 1):
            self.holdfast.wait(words.gone(number))
        self.holdfast.settle()
        self.holdfast.settle()
        with self.holdfast.settled():
            pid = self.holdfast.pid
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            states = [process.stat(other) for other in process.pids()]
            mine = [facts[0] for facts in states if facts and facts[1] == pid]
            names = sorted(re.sub(r"\d+", "N", path.name) for path in self.holdfast.runtime.rglob("*"))
            return {
                "descriptors": len(process.descriptors(pid)) - 1,
                MEMORY: int(re.search(r"Private_Dirty: +(\d+)", rollup).group(1)),
                "children": len(mine) - mine.count("Z"),
                "zombies": mine.count("Z"),
                "files": len(names),
                "file names": names,
            }

    def result(self):
        return "\n".join(self.lines)

    def logs(self):
        log = self.site.directory / "holdfast.log"
        log.write_text(self.holdfast.lines.text() if self.holdfast else "")
        return {"holdfast.log": log, "fpm.log": self.site.error_log, "nginx.log": self.site.directory / "nginx.log"}

    def found(self):
        return []

    def close(self):
        self.site.close()


def growth(before, after, memory):
    """What is more than it was, in words; memory: kB that are not told."""
    found = [f"{name}: {after[name]}, there were {before[name]}"
             for name in ("descriptors", "children", "file names") if after[name] != before[name]]
    if after["zombies"]:
        found.append(f"{after['zombies']} zombies")
    if after[MEMORY] > before[MEMORY] + memory:
        found.append(f"{MEMORY}: {after[MEMORY]}, there were {before[MEMORY]}")
    return found
