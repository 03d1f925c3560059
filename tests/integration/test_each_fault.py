# SPDX-License-Identifier: MIT
"""Each call of holdfast to libc and libsystemd fails once: what was asked for comes about or is refused with a reason, and
nothing is lost. HOLDFAST_EACH_FAULT=all tries every place that a scene comes to (tests/coverage --all, tests/run --full), else
some of them."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

from harness import fastcgi, net, words
from harness.failing import PROGRAM, Failing, describe, name_of
from harness.manager import ManagedHoldfast
from harness.phpfpm import Pool
from harness.process import environment
from harness.wait import DEADLINE

SERVER = PROGRAM.parent / "small-server"
EACH = os.environ.get("HOLDFAST_EACH_FAULT", "all" if os.environ.get("HOLDFAST_TESTS") == "full" else "4")
WRONG = re.compile(r"Sanitizer|runtime error:|Assertion|Aborting|was removed|running already")
pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="it is built on x86-64 alone")


def asked(listen):
    """What a server says on a new connection."""
    with fastcgi.connect(listen) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: client.recv(4096), b""))
    return text.partition(b"\r\n\r\n")[2].decode()


class Scene:
    """An instance with a TCP listener and a unix listener, and all that looks at them."""

    def __init__(self, make_site, *options, php=False):
        self.site = make_site(pools=[])
        self.listens = f"127.0.0.1:{net.free_port()}", f"{self.site.directory}/b.sock"
        self.failing = Failing(self.site.directory)
        self.php = php
        if php:
            self.site.pools = [Pool(listen, name=name, children=1) for listen, name in zip(self.listens, "ab")]
            self.site.configure()
            options += "--warm-timeout=2s",
        else:
            options += "--warm=http:/", "--on-event=true", *(f"--listen={listen}" for listen in self.listens)
        self.holdfast = ManagedHoldfast(self.site, "--backoff-max=200ms", "--drain-timeout=2s", *options, command=None if php else [SERVER],
                                        wrapper=(PROGRAM,), env=self.failing.environment)
        self.site.instances.append(self.holdfast)
        self.site._closing += [self.holdfast.close]

    def served_by(self):
        """Pids of those that answer."""
        script = str(self.site.root / "hello.php")
        return {int((fastcgi.request(listen, script)[1] if self.php else asked(listen)).split()[1]) for listen in self.listens}

    def generations(self):
        result = self.holdfast.call("status", "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)["generations"]

    def alone(self):
        """The active generation, once no other is left that could serve again."""
        end = time.monotonic() + DEADLINE
        while len(found := self.generations()) > 1:
            assert time.monotonic() < end, found
        return found[0]

    def start(self):
        ready = self.holdfast.store.ready
        self.holdfast.launch()
        return self.holdfast.store.is_ready(ready + 1, self.holdfast.process.ended)

    def check(self, since):
        """It serves, and has not said anything untrue."""
        assert self.served_by()
        text = self.holdfast.lines.text(since)
        assert not WRONG.search(text), text


def reload(scene):
    result = scene.holdfast.call("reload")
    assert scene.holdfast.process.running()
    assert result.returncode == 0 or result.stderr.strip(), result


def restart(scene):
    result = scene.holdfast.call("restart")
    assert scene.holdfast.process.running()
    assert result.returncode == 0 or result.stderr.strip(), result


def crash(scene):
    """Nobody asked for this, so it has to end well whatever fails."""
    since = scene.holdfast.mark()
    with scene.failing.paused():
        master = scene.alone()["pid"]
    os.kill(master, signal.SIGKILL)
    scene.holdfast.wait(words.ready(r"\d+"), since)


def look(scene):
    for verb in (["status"], ["status", "--json"], ["history"], ["metrics"]):
        result = scene.holdfast.call(*verb)
        assert scene.holdfast.process.running()
        assert result.returncode == 0 or result.stderr.strip(), result


def pause(scene):
    """Nobody is left waiting, whatever fails."""
    for verb in "hold", "release":
        result = scene.holdfast.call(verb)
        assert scene.holdfast.process.running()
        assert result.returncode == 0 or result.stderr.strip(), result
    if result.returncode:
        with scene.failing.paused():
            scene.holdfast.call("release")


def start_again(scene):
    """It serves, or says why not and has ended."""
    if not scene.start():
        assert scene.holdfast.process.wait() == words.EXIT_FAILURE
        scene.holdfast.wait("^holdfast.*: .")
        scene.failing.disarm()
        assert scene.start()


def upgrade(scene):
    result = scene.holdfast.call("upgrade")
    for _ in range(100):  # who cannot go on has closed the caller's connection before it ends
        if not (result.returncode and scene.holdfast.process.running() and scene.holdfast.call("status").returncode):
            break
    if not scene.holdfast.process.running():
        start_again(scene)
    assert result.returncode == 0 or result.stderr.strip(), result


def adoption(scene):
    with scene.failing.paused():
        scene.holdfast.call("upgrade")  # counts what it did until now
        scene.holdfast.process.stop(signal.SIGKILL)
    start_again(scene)


def start(scene):
    with scene.failing.paused():
        scene.holdfast.stop()
        for name in set(scene.holdfast.store.names()):
            scene.holdfast.store.remove(name)
    start_again(scene)


def stop(scene):
    scene.holdfast.stop()
    with scene.failing.paused():
        for name in set(scene.holdfast.store.names()):
            scene.holdfast.store.remove(name)
        assert scene.start()


SCENES = (reload, crash, restart, look, pause, upgrade, adoption, start, stop)


FOUND = {"hf_warm_make_pages", "hf_control_answer"}  # once, in what these call: always tried


def chosen(places):
    keys = sorted(places)
    found = {key for key, frames in places.items() if FOUND & {name_of(offset) for offset in frames if offset}}
    return keys if EACH == "all" else sorted({*keys[:: len(keys) // int(EACH) + 1], *found})


def places_of(scene, act):
    scene.failing.forget()
    act(scene)
    return scene.failing.seen()


def fail_each(scene, act, places):
    """Returns what went wrong."""
    problems = []
    for key in chosen(places):
        since = scene.holdfast.mark()
        scene.failing.arm(key)
        try:
            act(scene)
            scene.failing.disarm()
            scene.check(min(since, scene.holdfast.mark()))
        except (AssertionError, OSError, subprocess.SubprocessError) as problem:
            scene.failing.disarm()
            problems.append(f"{describe(places[key])}: {problem}; it said:\n{scene.holdfast.lines.text(since)[-1500:]}")
            if not scene.holdfast.process.running():
                scene.start()
    return problems


@pytest.mark.parametrize("act", SCENES, ids=lambda act: act.__name__)
def test_a_place_fails(make_site, act):
    """All places of a reload, and of the other scenes those that a reload does not reach."""
    scene = Scene(make_site)
    assert scene.start()
    known = {} if act is reload else places_of(scene, reload)
    places = {key: frames for key, frames in places_of(scene, act).items() if key not in known}
    problems = fail_each(scene, act, places)
    assert not problems, f"{len(problems)} of {len(places)}:\n\n" + "\n\n".join(problems)
    scene.holdfast.stop()


@pytest.mark.full
def test_a_place_fails_with_php_fpm(make_site):
    scene = Scene(make_site)
    assert scene.start()
    known = places_of(scene, reload)
    scene.holdfast.stop()
    scene = Scene(make_site, php=True)
    assert scene.start()
    assert scene.served_by()
    places = {key: frames for key, frames in places_of(scene, reload).items() if key not in known}
    problems = fail_each(scene, reload, places)
    assert not problems, f"{len(problems)} of {len(places)}:\n\n" + "\n\n".join(problems)
    scene.holdfast.stop()


@pytest.mark.parametrize("verb", ["check", "status", "status --json", "history", "metrics", "probe"])
def test_a_place_fails_in_a_verb(make_site, verb):
    """It ends with a reason, or does without the call."""
    scene = Scene(make_site)
    assert scene.start()
    words_of = {"check": [f"--listen=127.0.0.1:{net.free_port()}", "--listen=@holdfast-each-fault", "--", SERVER],
                "probe": ["--probe=http:/", scene.listens[0]]}
    command = [PROGRAM, *verb.split(), *words_of.get(verb, [f"--name={scene.site.name}"])]

    def run():
        return subprocess.run(command, env=environment(**scene.failing.environment), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=DEADLINE, check=False)

    scene.failing.forget()
    result = run()
    assert result.returncode == 0, result
    places = scene.failing.seen()
    problems = []
    for key in chosen(places):
        scene.failing.arm(key)
        try:
            result = run()
        except subprocess.TimeoutExpired as problem:
            problems.append(f"{describe(places[key])}: {problem}")
            continue
        finally:
            scene.failing.disarm()
        if result.returncode < 0 or WRONG.search(result.stderr) or result.returncode and not result.stdout + result.stderr:
            problems.append(f"{describe(places[key])}: {result}")
    assert not problems, f"{len(problems)} of {len(places)}:\n\n" + "\n\n".join(problems)
    scene.holdfast.stop()
