# SPDX-License-Identifier: MIT
"""System calls that fail, memory, descriptors and disk that run out: what was asked for comes about or is refused with a
reason, and whoever connects is served before, meanwhile and afterwards. HOLDFAST_FAULTS=all tries each call of a scene
in turn (tests/run --full; also SCENE[:CALL,...]), else those that are told apart below."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from harness import fastcgi, net, process, words
from harness.faults import Faults
from harness.manager import ManagedHoldfast
from harness.phpfpm import Pool
from harness.wait import DEADLINE

# what each fails with when the machine is short of something; what cannot fail so is not here
ERRORS = {
    "accept4": "EMFILE", "bind": "ENOMEM", "chmod": "EIO", "clone": "EAGAIN", "connect": "EAGAIN",
    "epoll_create1": "EMFILE", "epoll_ctl": "ENOMEM", "execve": "ENOMEM", "fchmod": "EIO", "fchownat": "EIO",
    "fcntl": "EMFILE", "flock": "ENOLCK", "ftruncate": "ENOSPC", "getdents64": "ENOMEM", "getrandom": "EAGAIN",
    "inotify_add_watch": "ENOSPC", "inotify_init1": "EMFILE",
    "listen": "EADDRINUSE", "memfd_create": "EMFILE", "mkdir": "ENOSPC", "newfstatat": "ENOMEM", "openat": "EMFILE",
    "pidfd_open": "EMFILE", "pidfd_send_signal": "EPERM", "pipe2": "EMFILE", "pwrite64": "ENOSPC", "recvmsg": "ENOMEM",
    "rename": "ENOSPC", "renameat2": "ENOSPC", "sendmsg": "ENOBUFS", "sendto": "ENOBUFS", "setpriority": "EACCES",
    "setsockopt": "ENOMEM", "signalfd4": "EMFILE", "socket": "EMFILE", "statfs": "EIO", "timerfd_create": "EMFILE",
    "unlink": "EIO", "write": "ENOSPC",
}
EACH = os.environ.get("HOLDFAST_FAULTS", "all" if os.environ.get("HOLDFAST_TESTS") == "full" else "")
MEMORY = ("brk", "mmap")
MOST = 12  # of one call in one scene: later ones are those of a loop
WRONG = re.compile(r"Sanitizer|runtime error:|Assertion|Aborting|was removed|running already")


class Scene:
    """An instance with a TCP pool and a unix pool, and its failing calls."""

    def __init__(self, make_site):
        listens = f"127.0.0.1:{net.free_port()}", f"/run/holdfast-faults-{net.free_port()}.sock"
        self.site = make_site(pools=[Pool(listen, name=name, children=2) for listen, name in zip(listens, "ab")])
        self.listens = listens
        self.faults = Faults(self.site.directory, [*ERRORS, *MEMORY])
        self.before = None  # what was active when the call was armed
        self.holdfast = ManagedHoldfast(self.site, "--backoff-max=200ms", wrapper=self.faults.wrapper)
        self.site.instances.append(self.holdfast)
        self.site._closing += [self.faults.close, self.holdfast.close]

    def served_by(self):
        """Pids of the masters that answer."""
        script = str(self.site.root / "hello.php")
        return {int(fastcgi.request(listen, script)[1].split()[1]) for listen in self.listens}

    def active(self):
        end = time.monotonic() + DEADLINE
        result = self.holdfast.call("status", "--json")
        while "does not answer" in result.stderr and time.monotonic() < end:  # each of its calls is asked about here
            result = self.holdfast.call("status", "--json")
        assert result.returncode == 0, result.stderr
        active, = [one for one in json.loads(result.stdout)["generations"] if one["state"] == "active"]
        return active

    def check(self, since):
        """It serves, and has not said anything untrue."""
        assert self.served_by()
        text = self.holdfast.lines.text(since)
        assert not WRONG.search(text), text

    def refused(self, result):
        """With a reason, and without an end."""
        assert result.stderr.strip() and self.holdfast.process.running(), result

    def ended(self, since):
        """With a reason, and not by a signal."""
        assert self.holdfast.process.wait() == words.EXIT_FAILURE, self.holdfast.lines.text(since)
        self.holdfast.wait(r"^holdfast\[.*: .", since)

    def start(self):
        """Returns whether it came to that."""
        ready = self.holdfast.store.ready
        self.holdfast.launch()
        return self.holdfast.store.is_ready(ready + 1, self.holdfast.process.ended)

    def stop(self):
        """And its manager empties the store."""
        self.holdfast.stop()
        self.faults.disarm()
        for name in set(self.holdfast.store.names()):
            self.holdfast.store.remove(name)


def replaced(scene, verb):
    result = scene.holdfast.call(verb)
    if result.returncode != 0:
        scene.refused(result)
    else:
        scene.faults.disarm()
        active = scene.active()
        assert active["number"] > scene.before["number"]
        scene.holdfast.wait(words.gone(scene.before["number"]))
        assert scene.served_by() == {active["pid"]}


def reload(scene):
    replaced(scene, "reload")


def restart(scene):
    replaced(scene, "restart")


def crash(scene):
    """Nobody asked for this, so it has to end well whatever fails."""
    since = scene.holdfast.mark()
    os.kill(scene.before["pid"], signal.SIGKILL)
    scene.holdfast.wait(words.ready(r"\d+"), since)


def upgrade(scene):
    since = scene.holdfast.mark()
    result = scene.holdfast.call("upgrade")
    if result.returncode != 0 and scene.holdfast.call("status").returncode != 0:
        scene.ended(since)  # as a new program can at any time; the manager starts it anew
        scene.faults.disarm()
        assert scene.start()
    elif result.returncode != 0:
        scene.refused(result)
    assert scene.served_by() == {scene.before["pid"]}


def adoption(scene):
    scene.holdfast.process.stop(signal.SIGKILL)
    scene.faults.rearm()
    if not scene.start():
        scene.ended(0)
        scene.faults.disarm()
        assert scene.start()


SCENES = {
    reload: "accept4:1 clone:4 epoll_ctl:1 fcntl:1 memfd_create:1 newfstatat:3 pidfd_open:6 renameat2:1 write:1",
    restart: "clone:5 epoll_ctl:5",
    crash: "clone:1 epoll_ctl:2 newfstatat:2 openat:1 pipe2:1",
    upgrade: "clone:1 epoll_create1:1 execve:1 memfd_create:1 pipe2:1 signalfd4:1",
    adoption: "epoll_ctl:1 fcntl:1 inotify_init1:1 mkdir:1 openat:3 sendmsg:1 socket:4 timerfd_create:1",
}


def rows(scene, act):
    if EACH != "all" and not EACH.startswith(act.__name__):
        return [(call, int(nth)) for call, _, nth in (word.partition(":") for word in SCENES[act].split())]
    scene.faults.count()
    scene.before = scene.active()
    act(scene)
    _, counts = scene.faults.disarm()
    only = EACH.partition(":")[2].split(",")
    return [(call, nth) for call, count in sorted(counts.items()) for nth in range(1, min(count, MOST) + 1)
            if call in ERRORS and (only == [""] or call in only)]


def fails(scene, act, call, nth):
    since = 0 if act is adoption else scene.holdfast.mark()
    scene.before = scene.active()
    scene.faults.arm(call, ERRORS[call], nth)
    try:
        act(scene)
        scene.faults.disarm()
        scene.check(since)
    except (AssertionError, OSError, subprocess.SubprocessError) as problem:
        raise AssertionError(f"{call} number {nth} fails with {ERRORS[call]}: {problem}; it said:\n"
                             f"{scene.holdfast.lines.text(since)}") from problem


@pytest.mark.long(50)
@pytest.mark.parametrize("act", SCENES, ids=lambda act: act.__name__)
def test_a_call_fails(make_site, act):
    scene = Scene(make_site)
    assert scene.start()
    scene.before = scene.active()
    crash(scene)
    for call, nth in rows(scene, act):
        fails(scene, act, call, nth)
    scene.before = scene.active()
    crash(scene)
    scene.holdfast.stop()


STARTS = ("clone:1 epoll_create1:1 epoll_ctl:4 fcntl:1 flock:1 listen:2 memfd_create:1 mkdir:1 newfstatat:1 openat:2 "
          "pipe2:1 rename:1 setsockopt:1 socket:3")


@pytest.mark.long(30)
@pytest.mark.parametrize("half", [0, 1])
def test_a_call_fails_at_the_start(make_site, half):
    """It serves, or it exits with a reason; either way nothing is left behind, and a stop works."""
    scene = Scene(make_site)
    for row in STARTS.split()[half::2]:
        call, _, nth = row.partition(":")
        scene.faults.arm(call, ERRORS[call], int(nth))
        if scene.start():
            scene.check(0)
            scene.faults.disarm()
            scene.stop()
        else:
            scene.ended(0)
        scene.faults.disarm()
        left = [one for one in scene.holdfast.residue() if not one.endswith(("/faults", "/manager"))]
        if scene.holdfast.lines.find("cannot be (locked|created)"):  # whose it is cannot be told
            left = [one for one in left if one != f"file {scene.holdfast.runtime}"]
            shutil.rmtree(scene.holdfast.runtime, ignore_errors=True)
        assert not left, f"{row}: {left}; it said:\n{scene.holdfast.lines.text()}"


def test_a_call_fails_at_the_stop(make_site):
    scene = Scene(make_site)
    for call in ("pidfd_open", "epoll_ctl", "openat", "sendmsg"):
        assert scene.start()
        scene.faults.arm(call, ERRORS[call], 1)
        scene.stop()


@pytest.mark.parametrize("spare", [0, 4])
def test_no_descriptors(make_site, spare):
    """Requests are refused; a service that crashed is started as soon as there are descriptors again."""
    scene = Scene(make_site)
    assert scene.start()
    scene.served_by()
    since = scene.holdfast.mark()
    master = scene.active()["pid"]
    with process.exhausted(scene.holdfast.pid, spare):
        scene.holdfast.send(signal.SIGHUP)
        scene.holdfast.wait("reload failed: |could not be |cannot be ", since)
        assert scene.served_by() == {master}
        os.kill(master, signal.SIGKILL)
        scene.holdfast.wait("failed to start|cannot be prepared|crashed", since)
    scene.holdfast.wait(words.ready(r"\d+"), since)
    scene.check(since)
    assert scene.holdfast.call("reload").returncode == 0
    scene.holdfast.stop()


@contextlib.contextmanager
def full_disk(directory):
    """A file system of that place alone, with no room; it is made when entered first, and filled by what is yielded."""
    directory.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0755", "tmpfs", directory], check=True)

    @contextlib.contextmanager
    def fill():
        filler = directory / "filler"
        with open(filler, "wb", buffering=0) as stream, contextlib.suppress(OSError):
            while True:
                stream.write(bytes(4096))
        yield
        filler.unlink()

    try:
        yield fill
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def test_disk_full(make_site):
    """A start and a reload are refused with the reason, a crash is survived once there is room."""
    scene = Scene(make_site)
    with full_disk(scene.holdfast.runtime) as fill:
        with fill():
            assert not scene.start()
            scene.ended(0)
            assert scene.holdfast.lines.find("No space left on device")
        assert scene.start()
        with fill():
            result = scene.holdfast.call("reload")
            assert result.returncode == words.EXIT_FAILURE and "No space left on device" in result.stderr
            scene.check(0)
            since = scene.holdfast.mark()
            scene.before = scene.active()
            os.kill(scene.before["pid"], signal.SIGKILL)
            scene.holdfast.wait(words.crashed(scene.before["number"]), since)
        scene.holdfast.wait(words.ready(r"\d+"), since)
        scene.check(since)
        assert scene.holdfast.call("upgrade").returncode == 0
        assert scene.holdfast.process.stop() == 0


@pytest.mark.load
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_no_memory(make_site, nth):
    """The heap cannot grow: the reload is refused, and all goes on. (The sanitizers' own heap gives up then.)"""
    scene = Scene(make_site)
    assert scene.start()
    scene.before = scene.active()
    scene.faults.arm(MEMORY, "ENOMEM", nth, times=1 << 20)
    result = scene.holdfast.call("reload")
    scene.faults.disarm()
    assert result.returncode == 0 or result.stderr.strip()
    scene.check(0)
    assert scene.holdfast.call("reload").returncode == 0
    scene.holdfast.stop()
