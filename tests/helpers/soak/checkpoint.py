# SPDX-License-Identifier: MIT
"""After each episode: no fault is left, and after one more reload everything must be as it was at the beginning."""
import json
import pathlib
import re
import time

from harness import process
from harness.wait import DEADLINE, Timeout

from soak import blocks, processes
from soak.testbed import CHILDREN

SIDES = 2 * 8  # of its two listeners, bound when they are needed, and kept
SPARE = 2  # descriptors that a holdfast may have more than the leanest one seen
FIRST = 10  # checkpoints that tell how much memory it needs
MEMORY, BLOCKS = "memory, kB", "live blocks"
GROWTH = {MEMORY: 128, BLOCKS: 200}  # that it may have more than in those: what the heap keeps in pieces, and in lists


class Checkpoint:
    def __init__(self, soak):
        self.soak = soak
        self.site, self.holdfast = soak.site, soak.holdfast
        self.files = None
        self.stored = None
        self.fewest = None
        self.figures = []  # at each checkpoint

    def check(self):
        """What is wrong, in words."""
        self.soak.quiet()
        found = self.soak.found()
        if not found:
            self.soak.problems += self.outlasting()
        return found or self.soak.found() or self.differences()

    def status(self):
        return json.loads(self.holdfast.call("status", "--json").stdout)

    def outlasting(self):
        """Who has not left a good while after the reload."""
        active = {one["pid"] for one in self.status()["generations"] if one["state"] == "active"}
        old = [pid for pid in processes.masters(self.holdfast) if pid not in active]
        old += [pid for pid in processes.workers(self.site) if (process.stat(pid) or (None, None))[1] not in active]
        end = time.monotonic() + DEADLINE
        found = []
        for pid in old:
            with processes.hold(pid) as held:
                try:
                    if held:
                        held.wait(max(0, end - time.monotonic()))
                except Timeout:
                    found.append(f"process {pid} ({process.command_line(pid)}, {process.stat(pid)}) outlives a reload")
        process.reap_strays()
        return found

    def differences(self):
        self.holdfast.settle()
        with self.holdfast.settled():
            descriptors = len(process.descriptors(self.holdfast.pid)) - 1
        stored = self.holdfast.store.names()
        sides = [name for name in stored if name.startswith("hf-l-")]
        descriptors -= len(sides)
        found = [f"{len(sides)} sides are stored"] if len(sides) > SIDES else []
        masters, workers = processes.masters(self.holdfast), processes.workers(self.site)
        if len(masters) != 1:
            found.append(f"{len(masters)} masters: {masters}")
        if len(workers) != 2 * CHILDREN:
            found.append(f"{len(workers)} workers")
        states = {pid: process.stat(pid) for pid in [self.holdfast.pid, *masters, *workers]}
        found += [f"process {pid} is stopped" for pid, facts in states.items() if facts and facts[0] == "T"]
        found += [f"zombie {pid}" for pid in process.pids()
                  if (process.stat(pid) or (None, None))[:2] == ("Z", self.holdfast.pid)]
        found += self.changed("files", sorted(re.sub(r"\d+", "N", path.name) for path in self.holdfast.runtime.iterdir()))
        found += self.changed("stored", sorted(re.sub(r"\d+", "N", name) for name in stored if name not in sides))
        self.fewest = min(self.fewest or descriptors, descriptors)
        found += self.grown({"descriptors": descriptors, "sides": len(sides)})
        if descriptors > self.fewest + SPARE:
            found.append(f"{descriptors} descriptors, there were {self.fewest}: "
                         f"{process.descriptors(self.holdfast.pid)}")
        status = self.status()
        if [one["state"] for one in status["generations"]] != ["active"] or status["state"] != "running":
            found.append(f"status: {status['state']}, {status['generations']}")
        return found

    def grown(self, figures):
        """What it has of its own beyond what the largest of the first ones had."""
        rollup = pathlib.Path(f"/proc/{self.holdfast.pid}/smaps_rollup").read_text()
        figures[MEMORY] = int(re.search(r"Private_Dirty: +(\d+)", rollup).group(1))
        figures[BLOCKS] = blocks.live(self.holdfast.pid) or 0
        self.figures.append(figures)
        found = []
        for name, growth in GROWTH.items():
            most = max(one[name] for one in self.figures[:FIRST])
            if figures[name] > most + growth:
                found.append(f"{figures[name]} {name}, there were {most}")
        return found

    def summary(self):
        """What holdfast had at the first checkpoint, at most, and at the last one."""
        return {name: f"{self.figures[0][name]} -> {self.figures[-1][name]}, at most {max(one[name] for one in self.figures)}"
                for name in (self.figures or [{}])[0]}

    def changed(self, what, now):
        before = getattr(self, what)
        if before is None:
            setattr(self, what, now)
            return []
        return [] if before == now else [f"{what}: {now}, there were {before}"]
