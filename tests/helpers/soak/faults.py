# SPDX-License-Identifier: MIT
"""Faults that last for a while."""
import contextlib
import signal

from harness import process

from soak import processes
from soak.calls import BROKEN, EXCUSE


@contextlib.contextmanager
def stop_a_process(chaos):
    """holdfast, a master or a worker is stopped, and continued."""
    kinds = [[chaos.holdfast.pid], processes.masters(chaos.holdfast), processes.workers(chaos.site)]
    found = chaos.random.choice([pids for pids in kinds if pids])
    with contextlib.ExitStack() as stack:
        if found == kinds[0]:  # commands wait five seconds for its answer
            stack.enter_context(chaos.calls.during(EXCUSE))
        held = stack.enter_context(processes.hold(chaos.random.choice(found)))
        if held:
            chaos.tell(f"stop_a_process: {held.pid} {process.command_line(held.pid)}")
            processes.freeze(held)
        try:
            yield
        finally:
            if held:
                processes.send(held, signal.SIGCONT)


@contextlib.contextmanager
def break_the_configuration(chaos):
    with chaos.calls.during(EXCUSE):
        chaos.site.break_configuration()
        try:
            with chaos.calls.during(BROKEN):
                yield
        finally:
            chaos.site.configure()


@contextlib.contextmanager
def full(disk):
    path = disk / "filling"
    with open(path, "wb", buffering=0) as stream:
        with contextlib.suppress(OSError):
            while True:
                stream.write(bytes(65536))
        with contextlib.suppress(OSError):
            while True:
                stream.write(bytes(64))
    try:
        yield
    finally:
        path.unlink()


@contextlib.contextmanager
def fill_the_log_disk(chaos):
    with full(chaos.testbed.log_disk):
        yield


@contextlib.contextmanager
def fill_the_runtime_disk(chaos):
    with chaos.calls.during(EXCUSE), full(chaos.testbed.runtime_disk):
        yield


@contextlib.contextmanager
def take_the_descriptors(chaos):
    """holdfast has none left, or a few."""
    with chaos.calls.during(EXCUSE), contextlib.ExitStack() as stack:
        if chaos.holdfast.process.running():
            stack.enter_context(process.exhausted(chaos.holdfast.pid, chaos.random.randint(0, 6)))
        yield


@contextlib.contextmanager
def take_the_pids(chaos):
    """holdfast can make one process or none. Not while a php-fpm starts: one that cannot make all its workers ends
    those that it has made, and their requests."""
    group = chaos.testbed.group
    chaos.quiet()
    with chaos.calls.during(EXCUSE):
        if group:
            group.write("pids.max", str(chaos.random.randint(1, 2)))
        try:
            yield
        finally:
            if group:
                group.write("pids.max", "max")


LASTING = {stop_a_process: 4, break_the_configuration: 3, fill_the_log_disk: 1, fill_the_runtime_disk: 1,
           take_the_descriptors: 2, take_the_pids: 2}
