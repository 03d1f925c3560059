# SPDX-License-Identifier: MIT
"""What holdfast itself costs: memory, threads, wake-ups, time at the start."""
import contextlib
import os
import pathlib
import resource
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import uuid

import extensions
import notifications
from contenders.startserver import StartServer
from contenders.supervisord import FOREGROUND, Supervisord
from harness import net, words
from harness.holdfast import call
from harness.paths import HOLDFAST, PHP_FPM, RUNTIME
from harness.process import PATH, Process, command_line, descriptors, environment
from harness.process import children as children_of
from harness.site import Site
from harness.wait import Ended

BINARIES = HOLDFAST.parents[1] / "tests" / "bench"
STAMP = BINARIES / "stamp"
EMPTY = BINARIES / "empty"
SWAP = BINARIES / "swap"
RELOADS = 20
EXEC_RUNS = 30
READY_RUNS = 10
SWAP_RUNS = 50
CRASH_RUNS = 10
PROCESSOR_RUNS = 10
EXTENSIONS = 30  # for processor time
SUPERVISORD = FOREGROUND + """
[fcgi-program:stamp]
socket = tcp://{address}
command = {command}
stdout_logfile = /dev/fd/1
stdout_logfile_maxbytes = 0
"""


def fields(pid, name):
    """{name: number} of a file of /proc/PID that has a name and a number in each line."""
    lines = pathlib.Path(f"/proc/{pid}/{name}").read_text().splitlines()
    words = [line.replace(":", " ").split() for line in lines]
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdigit()}


def memory(pid):
    found = fields(pid, "smaps_rollup")
    return {"pss_kb": found["Pss"], "private_dirty_kb": found["Private_Dirty"],
            "threads": fields(pid, "status")["Threads"]}


def write_back(*programs):
    """Pages of a program that was just built count as dirty memory until they are on the disk."""
    for program in programs:
        with open(program, "rb") as stream:
            os.fsync(stream.fileno())


def switches(pid):
    found = fields(pid, "status")
    return found["voluntary_ctxt_switches"] + found["nonvoluntary_ctxt_switches"]


def settled_descriptors(holdfast):
    """How many are open once the last client's connection is closed, but for the sides of a listener: of those there are
    as many as generations were there at once, eight at most."""
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()]
    listening = {f"socket:[{line[9]}]" for line in lines if line[3] == "0A"}
    with holdfast.settled():
        return sum(target not in listening for target in descriptors(holdfast.pid).values())


@contextlib.contextmanager
def empty_server():
    """The process that holdfast's memory is compared with; answers the same calls by its name."""
    name = f"bench-{uuid.uuid4().hex[:12]}"
    directory = RUNTIME / name
    directory.mkdir(parents=True, mode=0o755)
    process = None
    try:
        process = Process([EMPTY, directory / "control"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          env=environment())
        if process.popen.stdout.readline() != b"ready\n":
            raise AssertionError(f"{EMPTY} does not start")
        yield name, process.pid
    finally:
        if process:
            process.stop(signal.SIGTERM)
            process.popen.stdout.close()
        shutil.rmtree(directory)
        with contextlib.suppress(OSError):
            RUNTIME.rmdir()


def reload(name):
    result = call("reload", f"--name={name}")
    if result.returncode:
        raise AssertionError(f"reload of {name}: {result.stderr}")


def resident(children, idle):
    """Memory after the start and after some reloads, and wake-ups in an idle time between."""
    write_back(HOLDFAST, EMPTY)
    site = Site(children=children)
    try:
        holdfast = site.holdfast()
        with empty_server() as (name, pid):
            started = {"holdfast": memory(holdfast.pid), "empty": memory(pid)}
            before = switches(holdfast.pid)
            time.sleep(idle)
            woken = switches(holdfast.pid) - before
            before = settled_descriptors(holdfast)
            for _ in range(RELOADS):
                notifications.discard(site)
                reload(site.name)
                reload(name)
            holdfast.wait(words.gone(RELOADS))
            grown = settled_descriptors(holdfast) - before
            reloaded = {"holdfast": memory(holdfast.pid), "empty": memory(pid)}
        holdfast.stop()
        return {"started": started, "reloaded": reloaded, "reloads": RELOADS, "descriptors_grown": grown,
                "idle_seconds": idle, "wake_ups": woken}
    finally:
        site.close()


def others(children, idle):
    """{name: memory, and wake-ups in an idle time} of the launchers that holdfast is compared with."""
    found = {}
    for kind in (StartServer, Supervisord):
        site = Site(children=children)
        try:
            launcher = kind(site)
            launcher.start()
            pid = launcher.process.pid
            started = memory(pid)
            before = switches(pid)
            time.sleep(idle)
            found[kind.name] = {**started, "wake_ups": switches(pid) - before}
            launcher.stop()
        finally:
            site.close()
    return found


def swaps(runs):
    """Medians, in seconds: from SIGHUP until the old generation is signalled, of a service that is ready at once; and
    of that service alone, from its start to READY=1."""
    site = Site()
    site.pools[:] = []
    try:
        alone, held = [], []
        for _ in range(runs):
            start = time.monotonic()
            process = Process([SWAP], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              env=environment(NOTIFY_SOCKET=site.notify.path))
            site.notify.wait("READY=1", process.ended)
            alone.append(time.monotonic() - start)
            process.stop(signal.SIGTERM)
        reader, writer = os.pipe()
        with open(reader) as told, open(writer, "wb") as output:
            holdfast = site.holdfast("--ready=notify", f"--listen=127.0.0.1:{net.free_port()}", command=[SWAP],
                                     stdout=output)
            output.close()
            for number in range(2, runs + 2):
                start = time.monotonic()
                holdfast.send(signal.SIGHUP)
                held.append(int(told.readline()) / 1e9 - start)
                holdfast.wait(words.gone(number - 1))
            holdfast.stop()
        return {"runs": runs, "held": statistics.median(held), "alone": statistics.median(alone)}
    finally:
        site.close()


def stamped(command):
    """Seconds from the exec of command to the exec of the stamp program that it starts."""
    process = Process([STAMP, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                      stderr=subprocess.DEVNULL, env=environment())
    try:
        for line in process.popen.stdout:
            if line.strip().isdigit():  # others are what the launcher says
                return int(line) / 1e9
        raise AssertionError(f"{command} does not start")
    finally:
        process.stop(signal.SIGTERM)
        process.popen.stdout.close()


def exec_to_exec(runs):
    """Medians: the program by itself, behind holdfast, where nothing has to be discovered, and behind the others."""
    address = f"127.0.0.1:{net.free_port()}"
    with tempfile.TemporaryDirectory() as directory:
        configuration = pathlib.Path(directory) / "supervisord.conf"
        configuration.write_text(SUPERVISORD.format(directory=directory, address=address, command=STAMP))
        commands = {
            "direct": [STAMP],
            "held": [HOLDFAST, "run", f"--name=bench-{uuid.uuid4().hex[:12]}", "--adapter=generic",
                     f"--listen={address}", "--", STAMP],
            StartServer.name: [shutil.which("start_server", path=PATH), f"--port={address}", "--", STAMP],
            Supervisord.name: [shutil.which("supervisord", path=PATH), "-c", configuration],
        }
        taken = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                taken[name].append(stamped(command))
    return {"runs": runs, **{name: statistics.median(times) for name, times in taken.items()}}


def timed(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


def ready(children, runs):
    """Medians of the time to READY=1, with and without holdfast, and of what discovery runs."""
    alone, held, tests = [], [], []
    site = Site(children=children)
    try:
        for _ in range(runs):
            server = site.plain()
            alone.append(timed(server.start))
            server.stop(signal.SIGQUIT)
            start = time.monotonic()
            holdfast = site.holdfast()
            held.append(time.monotonic() - start)
            holdfast.stop()
            tests.append(sum(timed(lambda option=option: subprocess.run(
                [PHP_FPM, "-F", "-O", option, "-y", site.configuration_path], env=environment(), check=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
                for option in ("-tt", "-t")))
    finally:
        site.close()
    return {"runs": runs, "alone": statistics.median(alone), "held": statistics.median(held),
            "tests": statistics.median(tests)}


def crashes(children, runs, everybody):
    """Median of the time from SIGKILL of the master, or of everybody, until the next one is ready; and how many processes
    of dead masters were left once it was over."""
    site = Site(children=children)
    took, orphans = [], 0
    try:
        for _ in range(runs):  # each the first of its instance: the second would be delayed
            notifications.discard(site)
            holdfast = site.holdfast()
            with contextlib.ExitStack() as stack:
                master = site.main_pid()
                more = children_of(master) if everybody else []
                killed = [stack.enter_context(Ended(pid)) for pid in [master, *more]]
                start = time.monotonic()
                for process in killed:
                    signal.pidfd_send_signal(process.fd, signal.SIGKILL)
                holdfast.wait(words.ready(2))
                took.append(time.monotonic() - start)
            holdfast.wait(words.gone(1))
            orphans += sum("php-fpm" in command_line(pid) for pid in children_of(holdfast.pid)) - 1
            holdfast.stop()
        return {"runs": runs, "took": statistics.median(took), "orphans": orphans}
    finally:
        site.close()


def used():
    """Seconds of processor time that our children had which have ended, with theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def processor(children, runs):
    """Processor time of a reload, all that runs for it and the end of the old php-fpm, and of php-fpm's own start and
    end; with many extensions."""
    with extensions.loaded(EXTENSIONS) as loaded:
        # by default php-fpm kills its workers, which costs less than that they leave
        site = Site(children=children, process_control_timeout="30s")
        try:
            def held(reloads):
                before = used()
                notifications.discard(site)
                holdfast = site.holdfast()
                for number in range(2, reloads + 2):
                    holdfast.replace(number)
                holdfast.stop()
                return used() - before

            before = used()
            for _ in range(runs):
                server = site.plain()
                server.start()
                server.stop(signal.SIGQUIT)
            alone = (used() - before) / runs
            return {"runs": runs, "extensions": loaded, "alone": alone, "reload": (held(runs + 1) - held(1)) / runs}
        finally:
            site.close()


def run(options, tell):
    tell(f"memory, and {options.idle:g} s of idle time")
    result = {"resident": resident(options.children, options.idle)}
    tell(f"other launchers, {options.idle:g} s of idle time each")
    result["others"] = others(options.children, options.idle)
    tell("time at the start, after a crash and of a reload")
    crash, swap, execs, starts = (min(runs, options.starts) for runs in (CRASH_RUNS, SWAP_RUNS, EXEC_RUNS, READY_RUNS))
    tell(f"processor time of a reload with {EXTENSIONS} extensions")
    result["processor"] = processor(options.children, min(PROCESSOR_RUNS, options.starts))
    return {**result, "crashes": crashes(options.children, crash, False),
            "crashes_of_all": crashes(options.children, crash, True), "swaps": swaps(swap), "exec": exec_to_exec(execs),
            "ready": ready(options.children, starts)}
