# SPDX-License-Identifier: MIT
"""What happens to the testbed, one thing after another or during another, as a random number generator decides."""
import collections
import signal
import time

from harness import process
from harness.wait import DEADLINE

from soak import faults, processes
from soak.calls import EXCUSE, Calls
from soak.ledger import Kill

PATIENCE = 3  # seconds for a command while something is wrong
TRIES = 20
LONGEST_PAUSE = 0.5
WITHIN = 3  # at most so many things happen while a fault lasts


class Chaos:
    def __init__(self, testbed, random, tell):
        self.testbed = testbed
        self.site, self.holdfast, self.ledger = testbed.site, testbed.holdfast, testbed.ledger
        self.random = random
        self.tell = tell
        self.calls = Calls(self.site.name, lambda verb: tell(
            f"{verb} takes long:\n{processes.faces(self.site, self.holdfast)}"))
        self.counts = collections.Counter()
        self.problems = []
        self.depth = 0  # of faults that last
        self.lasting = []  # those
        self.awaited = 0  # READY=1 of a holdfast that was started without waiting; 0: none
        self.down = None  # the interval until then

    def act(self):
        """One thing that happens at once, or a fault in which others happen."""
        kinds = dict(BRIEF)
        if self.depth < 2:
            kinds.update(faults.LASTING)
        if self.depth:
            for kind in (restart_unit, faults.take_the_pids):
                kinds.pop(kind, None)
        for kind in self.lasting:
            kinds.pop(kind, None)
        kind = self.random.choices(list(kinds), list(kinds.values()))[0]
        self.counts[kind.__name__.replace("_", " ")] += 1
        self.tell(f"{'  ' * self.depth}{kind.__name__}")
        if kind in BRIEF:
            kind(self)
        else:
            self.depth += 1
            self.lasting.append(kind)
            try:
                with kind(self):
                    for _ in range(self.random.randint(1, WITHIN)):
                        self.pause()
                        self.act()
            finally:
                self.lasting.remove(kind)
                self.depth -= 1
        self.tend()

    def pause(self):
        time.sleep(self.random.uniform(0, LONGEST_PAUSE))

    def tend(self):
        """What a manager does, and a look at what has ended."""
        process.reap_strays()
        self.calls.tend()
        if not self.holdfast.process.running():
            if not self.depth:
                self.problems.append(f"holdfast ended by itself with status {self.holdfast.process.wait()}")
            self.launch(wait=not self.depth)
        if self.awaited and self.holdfast.store.ready >= self.awaited:
            self.is_up()

    def launch(self, wait):
        """The manager starts the next holdfast."""
        if self.down is None:
            self.down = self.calls.begin(EXCUSE)
        self.awaited = self.holdfast.store.ready + 1
        self.holdfast.launch()
        if wait:
            self.await_ready()

    def await_ready(self):
        if not self.awaited:
            return
        if self.holdfast.store.is_ready(self.awaited, self.holdfast.process.ended):
            self.is_up()
        else:
            self.problems.append(f"holdfast did not start: status {self.holdfast.process.wait()}")

    def is_up(self):
        self.calls.end(self.down)
        self.awaited, self.down = 0, None

    def found(self):
        """What went wrong so far, in words."""
        return [*self.problems, *self.calls.problems, *self.ledger.problems()]

    def settle(self):
        """Everything that waited has ended: commands, starts."""
        self.await_ready()
        self.calls.settle()
        process.reap_strays()

    def quiet(self):
        """And nothing is replaced: whatever was asked for came before a reload that has ended."""
        self.settle()
        self.calls.run("reload")
        self.calls.settle()

    def patience(self):
        """How long a command is waited for: now and then not at all, so that others hit the middle of it."""
        return self.random.choice([0, PATIENCE if self.depth else DEADLINE])

    def signal(self, number):
        """Not before it is there: what the manager has just started does not know its signals yet."""
        if self.holdfast.process.running() and not self.awaited:
            self.holdfast.send(number)

    def killed_holdfast(self):
        if self.down is None:
            self.down = self.calls.begin(EXCUSE)
        self.holdfast.process.stop(signal.SIGKILL)


def reload(chaos):
    chaos.calls.run("reload", chaos.patience())


def reload_storm(chaos):
    for _ in range(chaos.random.randint(2, 6)):
        chaos.calls.run("reload", 0)


def restart(chaos):
    chaos.calls.run("restart", chaos.patience())


def rollback(chaos):
    """Right after a reload there is mostly one parked."""
    if chaos.random.random() < 0.7:
        chaos.calls.run("reload", DEADLINE)
    chaos.calls.run("rollback", chaos.patience())


def upgrade(chaos):
    chaos.calls.run("upgrade", chaos.patience())


def signal_holdfast(chaos):
    number = chaos.random.choice([signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR1])
    chaos.signal(number)


def rotate_logs(chaos):
    for path in chaos.testbed.log_disk.glob("*.access"):
        path.rename(path.with_suffix(".rotated"))
    chaos.signal(signal.SIGUSR1)


def kill_worker(chaos, note=True):
    """One whose request is known for sure: it is stopped, then looked at, then killed."""
    for _ in range(TRIES):
        chaos.ledger.journal.read()
        found = processes.workers(chaos.site)
        busy = [pid for pid in found if chaos.ledger.journal.under_way(pid)]
        if chaos.random.random() < 0.7 and busy or not note:
            found = busy
        if not found:
            continue
        with processes.hold(chaos.random.choice(found)) as held:
            if held and processes.freeze(held):
                chaos.tell(f"kill_worker: {held.pid}")
                if kill_frozen_worker(chaos, held, note):
                    return True
                processes.send(held, signal.SIGCONT)
    return False


def kill_frozen_worker(chaos, held, note):
    """Not while it has a connection and has not yet said whose, or has said that it is done."""
    request = chaos.ledger.journal.under_way(held.pid)
    idle = len(processes.sockets(held.pid)) <= 1  # the listener
    if not request and (not idle or not note):
        return False
    if request and note:
        chaos.ledger.note(Kill(time.monotonic(), held.pid, request))
    chaos.counts["kill worker: at a request" if request else "kill worker: idle"] += 1
    processes.kill(held)
    chaos.ledger.journal.forget(held.pid)
    return True


def kill_master(chaos):
    found = processes.masters(chaos.holdfast)
    if not found:
        return
    with chaos.calls.during(EXCUSE), processes.hold(chaos.random.choice(found)) as held:
        if held:
            chaos.tell(f"kill_master: {held.pid}")
            processes.kill(held)


def kill_holdfast(chaos):
    chaos.killed_holdfast()
    chaos.pause()
    chaos.launch(wait=not chaos.depth)


def kill_holdfast_and_master(chaos):
    order = [kill_master, Chaos.killed_holdfast]
    chaos.random.shuffle(order)
    for kill in order:
        kill(chaos)
    chaos.pause()
    chaos.launch(wait=not chaos.depth)


def restart_unit(chaos):
    """As systemctl restart does it: the manager keeps the sockets."""
    chaos.down = chaos.calls.begin(EXCUSE)
    chaos.holdfast.stop()
    chaos.launch(wait=True)


BRIEF = {reload: 6, reload_storm: 1, restart: 3, rollback: 2, upgrade: 1, signal_holdfast: 2, rotate_logs: 1, kill_worker: 8,
         kill_master: 3, kill_holdfast: 2, kill_holdfast_and_master: 1, restart_unit: 1}
