# SPDX-License-Identifier: MIT
"""What belongs to a generation: found, asked, ended, or spared and named."""
import json
import os
import pwd
import re
import shutil
import signal
import socket

import pytest

from harness import dbus, net, process, words
from harness.paths import HELPERS, HOLDFAST, PYTHON
from harness.service import answer
from harness.wait import Ended

NOBODY = pwd.getpwnam("nobody").pw_uid


def background(holdfast, since=0):
    return int(re.search(r"background (\d+)", holdfast.wait(r"background \d+", since)).group(1))


def stop_and_end_strays(holdfast):
    """A stop that spares something: what, which is ended then."""
    assert holdfast.process.stop() == 0
    return process.end_strays()


# ---- in the background ----


def test_what_is_spared_is_named(service):
    holdfast = service.start(behaviour=["leave-background", "--same-session", "--without-listener"])
    pid = background(holdfast)
    service.behave("serve")
    with Ended(pid) as sleeper:
        holdfast.replace(2)
        assert sleeper.alive()
        lines = holdfast.lines.find("leaves in the background")
        assert len(lines) == 1 and f"generation 1 leaves in the background: sleep ({pid})" in lines[0]
        assert stop_and_end_strays(holdfast) == [pid]
    assert len(holdfast.lines.find("leaves in the background")) == 1


def test_who_holds_the_listener_belongs_to_it_whatever_it_runs(service):
    holdfast = service.start(behaviour=["leave-background", "--same-session"])
    pid = background(holdfast)
    service.behave("serve")
    with Ended(pid) as sleeper:
        holdfast.replace(2)
        assert not sleeper.alive()
    assert not holdfast.lines.find("leaves in the background")
    holdfast.stop()


# ---- a wrapper that does not execute the service in its own place ----

# Says who it is to whoever connects.
SAYS_PID = ("import os, socket\n"
            "listener = socket.socket(fileno=3)\n"
            "while True:\n"
            "    connection, _ = listener.accept()\n"
            "    connection.sendall(b'%d\\n' % os.getpid())\n"
            "    connection.close()\n")


@pytest.fixture
def wrapped(site):
    """A server behind a shell that waits for it, as behind npm start; its holdfast, and who answers."""
    site.pools[:] = []
    port = net.free_port()
    program = site.directory / "server.py"
    program.write_text(SAYS_PID)
    holdfast = site.holdfast("--ready=delay:0", f"--listen=127.0.0.1:{port}", command=["sh", "-c", f"{PYTHON} {program}; true"])

    def ask():
        with socket.create_connection(("127.0.0.1", port)) as connection:
            return int(connection.makefile().readline())

    return holdfast, ask


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_what_a_wrapper_runs_leaves_with_it(wrapped, how):
    holdfast, ask = wrapped
    with Ended(ask()) as old:
        if how == "reload":
            holdfast.replace(2)
        else:
            holdfast.restart()
        assert not old.alive()
        assert old.pid not in [ask() for _ in range(5)]
    assert not holdfast.lines.find("leaves in the background")
    assert not holdfast.lines.find("is still there, it is sent")
    generation, = json.loads(holdfast.call("status", "--json").stdout)["generations"]
    assert generation["processes"] == 2
    holdfast.stop()


def test_a_wrapper_that_is_killed(wrapped):
    """What it ran goes on serving until the next one does, and is ended then."""
    holdfast, ask = wrapped
    with Ended(ask()) as old:
        main, = process.children(holdfast.pid)
        os.kill(main, signal.SIGKILL)
        holdfast.wait(words.gone(1))
        assert not old.alive()
    assert ask() != old.pid
    holdfast.stop()


def test_what_holds_no_listener_survives_the_stop(service):
    holdfast = service.start(behaviour=["leave-background", "--same-session", "--without-listener"])
    pid = background(holdfast)
    assert stop_and_end_strays(holdfast) == [pid]
    assert holdfast.lines.find(rf"generation 1 leaves in the background: sleep \({pid}\)")
    assert not holdfast.lines.find("SIGTERM")


def test_many_are_named_in_one_short_line(site):
    holdfast = site.holdfast()
    pids = {int(site.get("/leak.php")[1].split()[1]) for _ in range(10)}
    holdfast.replace(2)
    [line] = holdfast.lines.find("leaves in the background")
    assert line.endswith(" and 2 more")
    named = {int(pid) for pid in re.findall(r"sleep \((\d+)\)", line)}
    assert len(named) == 8 and named < pids
    holdfast.stop()


def test_a_background_process_that_does_not_leave(service):
    """Asked, then killed; another stop signal does not wait for that."""
    holdfast = service.start(behaviour=["leave-background", "--deaf"])
    with Ended(background(holdfast)) as sleeper:
        holdfast.send(signal.SIGTERM)
        holdfast.wait("still holding a listener, and sent SIGTERM: sleep")
        assert sleeper.alive()
        holdfast.send(signal.SIGINT)
        holdfast.wait("still holding a listener, and sent SIGKILL: sleep")
        sleeper.wait()
    holdfast.stop()


def test_who_asked_for_the_stop_is_answered_when_everything_has_ended(service):
    holdfast = service.start(behaviour=["leave-background", "--deaf"])
    with Ended(background(holdfast)) as sleeper:
        result = dbus.busctl(holdfast.runtime / "control", "--timeout=60", "call", "org.holdfast", dbus.PATH, dbus.INTERFACE, "Stop")
        assert result.returncode == 0, result.stderr
        assert not sleeper.alive()
        assert not net.listening(int(service.address.rpartition(":")[2]))
    holdfast.stop()


def test_who_made_itself_a_daemon_ends_with_holdfast(service):
    """Of a session of its own, so it belongs to no generation; it holds the listener."""
    holdfast = service.start("--cgroup=off", behaviour=["double-fork"])
    daemon = int(re.search(r"daemon (\d+)", holdfast.wait(r"daemon \d+")).group(1))
    service.behave("serve")
    with Ended(daemon) as held:
        holdfast.replace(2)
        assert held.alive()
        holdfast.stop()
        assert not held.alive()
    assert holdfast.lines.find(f"misbehave {daemon}: leaves as asked")


# ---- --kill-mode=all ----


def test_kill_mode_all_ends_what_scripts_started(site):
    holdfast = site.holdfast("--kill-mode=all")
    with Ended(int(site.get("/leak.php")[1].split()[1])) as sleeper:
        assert sleeper.alive()
        holdfast.replace(2)
        assert not sleeper.alive()
    assert not holdfast.lines.find("leaves in the background")
    holdfast.stop()


def test_kill_mode_all_ends_what_left_its_session(service):
    """It holds no listener: only the whole tree of descendants tells of it."""
    holdfast = service.start("--kill-mode=all", "--cgroup=off", behaviour=["leave-background", "--without-listener"])
    pid = background(holdfast)
    service.behave("serve")
    with Ended(pid) as sleeper:
        holdfast.replace(2)
        assert sleeper.alive()
        holdfast.stop()
        assert not sleeper.alive()
    assert holdfast.lines.find(rf"left in the background and sent SIGTERM: sleep \({pid}\)")


# ---- more of them than descriptors ----

FEW = ("prlimit", "--nofile=60:60", HOLDFAST)
MANY = 80


def living(pids):
    """Those that have not ended; a zombie, which nobody has reaped yet, has."""
    return [pid for pid in pids if (process.stat(pid) or "Z")[0] != "Z"]


@pytest.mark.parametrize("mode", ["service", "all"])
def test_more_members_than_descriptors(service, mode):
    """Each is asked once its main process has left, and all are waited for."""
    holdfast = service.start(f"--kill-mode={mode}", "--drain-timeout=1min", wrapper=FEW,
                             behaviour=["leave-worker", f"--trigger={service.fifo}", f"--workers={MANY}"])
    service.behave("serve")
    workers = process.children(process.children(holdfast.pid)[0])
    assert len(workers) == MANY
    service.trigger()
    holdfast.wait(words.crashed(1))
    holdfast.wait(words.gone(1))
    assert not living(workers)
    assert len(holdfast.lines.find("leaves as asked")) == MANY
    assert service.ask()
    holdfast.stop()


def test_more_left_at_the_end_than_descriptors(service):
    holdfast = service.start("--kill-mode=all", "--cgroup=off", wrapper=FEW,
                             behaviour=["leave-background", "--without-listener", "--deaf", f"--workers={MANY}"])
    left = set()
    while len(left) < MANY:
        holdfast.wait(rf"background (?!(?:{'|'.join(map(str, left)) or 'none'})\b)\d")
        left = {int(pid) for pid in re.findall(r"background (\d+)", holdfast.lines.text())}
    assert len(left) == MANY
    holdfast.stop()
    assert not living(left)


# ---- of another user ----


def test_a_worker_of_another_user(service):
    """Found, waited for and asked to leave once its main process is gone."""
    holdfast = service.start(behaviour=["worker-of", f"--uid={NOBODY}", f"--trigger={service.fifo}"])
    worker = service.ask()
    assert os.stat(f"/proc/{worker}").st_uid == NOBODY
    service.behave("serve")
    with Ended(worker) as orphan:
        service.trigger()
        holdfast.wait(words.crashed(1))
        orphan.wait()
    holdfast.wait(words.gone(1))
    assert holdfast.lines.find(rf"misbehave {worker}: leaves as asked")
    holdfast.stop()


@pytest.fixture
def unprivileged(service):
    """holdfast without privileges before a service that makes itself root: a copy of Python with the setuid bit."""
    home = service.site.directory / "user"
    runtime = home / "run"
    runtime.mkdir(parents=True)
    holdfast, python = home / "holdfast", home / "python3"
    shutil.copy(HOLDFAST, holdfast)
    shutil.copy("/usr/bin/python3", python)
    shutil.copy(HELPERS / "misbehave.py", home)
    for path in (home, runtime):
        shutil.chown(path, "nobody", "nogroup")
    python.chmod(0o4755)
    service.command = [python, home / "misbehave.py", f"@{service.arguments}"]
    service.how = {"wrapper": ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", holdfast],
                   "env": {"XDG_RUNTIME_DIR": str(runtime)}, "runtime": runtime / "holdfast"}
    return service


@pytest.mark.parametrize("mode", ["service", "all"])
def test_a_service_that_may_not_be_signalled(unprivileged, mode):
    """One line a step, and no wait for ever: it is left behind."""
    service = unprivileged
    holdfast = service.start(f"--kill-mode={mode}", "--drain-timeout=0", behaviour=["become", "--uid=0"], **service.how)
    main = service.ask()
    assert os.stat(f"/proc/{main}").st_uid == 0
    with Ended(main) as held:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            holdfast.send(number)
        assert holdfast.process.wait() == 0
        assert held.alive()
        assert process.end_strays() == [main]
    told = [holdfast.lines.find(pattern) for pattern in (
        r"generation 1 is another user's and cannot be signalled, it is waited for",
        r"generation 1 is another user's and cannot be signalled, it is left behind",
        r"a process of the service is another user's and cannot be signalled, it is left behind")]
    # Whose sockets may not be read is no known holder of one; only all descendants tell of it.
    assert [len(lines) for lines in told] == [1, 1, mode == "all"]
    assert all(f"python3 ({main})" in line for lines in told for line in lines)
    assert not holdfast.lines.find("in the background")


def test_a_worker_that_may_not_be_signalled(unprivileged):
    """At a reload: the successor serves, and the old generation is given up when the ladder ends."""
    service = unprivileged
    holdfast = service.start("--drain-timeout=0", behaviour=["worker-of", "--uid=0", f"--trigger={service.fifo}"],
                             **service.how)
    worker = service.ask()
    service.behave("serve")
    with Ended(worker) as orphan:
        holdfast.send(signal.SIGHUP)
        holdfast.wait(words.reloaded(2))
        holdfast.wait(words.gone(1))
        assert orphan.alive()
        with service.connect() as connection:
            assert answer(connection)
        assert stop_and_end_strays(holdfast) == [worker]
