# SPDX-License-Identifier: MIT
"""The processes of a generation: found, asked to leave, ended; or left alone and named."""
import json
import os
import pwd
import re
import shutil
import signal
import socket

import pytest

from harness import dbus, net, process, words
from harness.manager import ManagedHoldfast
from harness.paths import HELPERS, HOLDFAST, PHP_FPM, PYTHON
from harness.service import answer
from harness.terminal import on_terminal
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
    """The program that it ran goes on serving until the next generation does, and is then ended."""
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
    """It is asked with its generation, then killed; another stop signal does not wait for that."""
    holdfast = service.start(behaviour=["leave-background", "--deaf"])
    with Ended(background(holdfast)) as sleeper:
        holdfast.send(signal.SIGTERM)
        holdfast.wait("leaves as asked")
        assert sleeper.alive()
        holdfast.send(signal.SIGINT)
        holdfast.wait("generation 1 is still there, it is sent SIGTERM")
        holdfast.send(signal.SIGINT)
        sleeper.wait()
    holdfast.stop()


DEAF = '<?php exec("env --ignore-signal=TERM --ignore-signal=QUIT sleep 300 >/dev/null 2>&1 & echo $!", $out); echo $out[0];'


def test_what_a_script_left_with_the_listener_ends_with_holdfast(site):
    """Before PHP 8.3 it has the listener by accident, so it belongs to no generation; at the end it is asked, then killed."""
    (site.root / "deaf.php").write_text(DEAF)
    holdfast = site.holdfast("--drain-timeout=1s")
    with Ended(int(site.get("/deaf.php")[1])) as sleeper:
        holdfast.send(signal.SIGTERM)
        holdfast.wait("still holding a listener, and sent SIGTERM: sleep")
        assert sleeper.alive()
        holdfast.send(signal.SIGINT)
        holdfast.wait("still holding a listener, and sent SIGKILL: sleep")
        sleeper.wait()
    holdfast.stop()


@pytest.mark.long(37)
def test_who_asked_for_the_stop_is_answered_when_everything_has_ended(service):
    holdfast = service.start(behaviour=["leave-background", "--deaf"])
    with Ended(background(holdfast)) as sleeper:
        result = dbus.busctl(holdfast.runtime / "control", "--timeout=60", "call", "org.holdfast", dbus.PATH, dbus.INTERFACE, "Stop")
        assert result.returncode == 0, result.stderr
        assert not sleeper.alive()
        assert not net.listening(int(service.address.rpartition(":")[2]))
    holdfast.stop()


def test_who_made_itself_a_daemon_ends_with_its_generation(service):
    """It has its own session but holds the listener: it would serve old code beside the new."""
    holdfast = service.start("--cgroup=off", behaviour=["double-fork"])
    daemon = int(re.search(r"daemon (\d+)", holdfast.wait(r"daemon \d+")).group(1))
    generation, = json.loads(holdfast.call("status", "--json").stdout)["generations"]
    assert generation["processes"] == 2
    service.behave("serve")
    with Ended(daemon) as held:
        holdfast.replace(2)
        assert not held.alive()
    assert holdfast.lines.find(f"misbehave {daemon}: leaves as asked")
    assert not holdfast.lines.find("is still there, it is sent")
    holdfast.stop()


def test_a_daemon_belongs_to_the_generation_that_started_it(service):
    """The next generation's daemon, which holds the same socket, stays when the old generation leaves."""
    holdfast = service.start("--cgroup=off", "--handover=gentle", behaviour=["double-fork"])
    first = int(re.search(r"daemon (\d+)", holdfast.wait(r"daemon \d+")).group(1))
    mark = holdfast.mark()
    with Ended(first) as old:
        holdfast.replace(2)
        assert not old.alive()
    second = int(re.search(r"daemon (\d+)", holdfast.wait(r"daemon \d+", mark)).group(1))
    with Ended(second) as new:
        assert new.alive()
        holdfast.stop()
        assert not new.alive()


def test_a_service_that_makes_itself_a_daemon_leaves_nobody_behind(service):
    """However often it is started: each daemon would go on serving beside the next one."""
    service.behave("daemonize")
    holdfast = service.launch("--cgroup=off", ready="delay:1h")
    seen = set()
    for number in range(1, 5):
        assert "a service must stay in the foreground" in holdfast.wait(words.start_failed(number))
        holdfast.wait(words.gone(number))
        seen = {int(pid) for pid in re.findall(r"daemon (\d+)", holdfast.lines.text())}
        assert len(living(seen)) <= 1
    assert len(seen) >= 4
    holdfast.stop()


# ---- an entrypoint that works for longer than --ready=delay: waits ----

SLOW = """#!/bin/sh
case " $* " in
    *" -tt "* | *" -t "*) ;;
    *) echo entrypoint works >&2; read go <{fifo} ;;
esac
exec "$@"
"""


@pytest.fixture
def entrypoint(site):
    """A program, and what lets it go on."""
    fifo = site.directory / "go"
    os.mkfifo(fifo)
    end = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
    program = site.directory / "entrypoint"
    program.write_text(SLOW.format(fifo=fifo))
    program.chmod(0o755)
    yield program, lambda: os.write(end, b"go\n")
    os.close(end)


def test_a_service_that_is_executed_late_is_measured(site, entrypoint):
    site.pools[:] = []
    program, go_on = entrypoint
    port = net.free_port()
    server = site.directory / "server.py"
    server.write_text(SAYS_PID)
    holdfast = site.holdfast("--ready=delay:0", f"--listen=127.0.0.1:{port}", command=[program, PYTHON, server])
    holdfast.wait("entrypoint works")
    go_on()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        pid = int(connection.makefile().readline())
    generation, = json.loads(holdfast.call("status", "--json").stdout)["generations"]
    assert generation["pid"] == pid and generation["processes"] == 1 and generation["memory"] > 0
    holdfast.stop()


@pytest.mark.load
def test_workers_of_a_master_that_was_executed_late_leave(site, entrypoint):
    """Even though nobody had looked at its program before it was killed."""
    program, go_on = entrypoint
    holdfast = site.holdfast("--adapter=php-fpm", "--ready=delay:0", command=[program, PHP_FPM, "-y", site.configuration_path])
    holdfast.wait("entrypoint works")
    mark = holdfast.mark()
    go_on()
    master = site.main_pid()
    workers = process.children(master)
    os.kill(master, signal.SIGKILL)
    holdfast.wait("entrypoint works", mark)
    go_on()
    holdfast.wait(words.gone(1))
    assert not living(workers)
    holdfast.stop()


# ---- what is spared ----


@pytest.mark.parametrize("verb", ["reload", "restart"])
def test_a_caller_hears_what_is_left_alone(site, verb):
    """And the socket that it holds."""
    holdfast = site.holdfast()
    pid = int(site.get("/leak.php")[1].split()[1])
    result = holdfast.call(verb)
    assert result.returncode == 0
    told = rf"generation 1 is draining; it leaves alone: sleep \({pid}\), which holds {site.address}$"
    for text in (result.stderr, holdfast.call("status").stdout):
        assert re.search(told, text, re.MULTILINE), text
    assert "left alone: sleep" not in result.stderr
    holdfast.wait(rf"generation 1 leaves in the background: sleep \({pid}\)")
    assert stop_and_end_strays(holdfast) in ([], [pid])


def test_status_has_what_is_left_alone_for_as_long_as_it_lives(site):
    """With what it holds; also after an upgrade and the death of holdfast."""
    holdfast = ManagedHoldfast(site)
    site.at_close(holdfast.close)
    holdfast.start()
    with Ended(int(site.get("/leak.php")[1].split()[1])) as first, Ended(int(site.get("/leak.php")[1].split()[1])) as second:
        def line(pid):
            return f"sleep ({pid}), which holds {site.address} (of generation 1)"

        def status():
            text, facts = holdfast.call("status").stdout, json.loads(holdfast.call("status", "--json").stdout)
            told = re.search("^Left alone: (.*)$", text, re.MULTILINE)
            assert (told and told.group(1)) == facts["spared"]
            return facts["spared"]

        assert status() is None
        holdfast.replace(2)
        both = "; ".join(line(pid) for pid in sorted((first.pid, second.pid)))
        assert status() == both
        assert holdfast.call("upgrade").returncode == 0
        assert status() == both
        os.kill(second.pid, signal.SIGKILL)
        second.wait()
        assert status() == line(first.pid)
        holdfast.process.stop(signal.SIGKILL)
        holdfast.start()
        assert status() == line(first.pid)
        holdfast.replace(3)
        assert status() == line(first.pid)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        assert status() is None
    holdfast.stop()


@pytest.mark.parametrize("handover", ["switch", "gentle"])
def test_a_terminal_keeps_what_is_left_alone(site, handover):
    """Below the line that is written over; also where the old generation is asked to leave after the answer."""
    holdfast = site.holdfast(f"--handover={handover}")
    pid = int(site.get("/leak.php")[1].split()[1])
    name = f"--name={site.name}"
    left = f"reload: left alone: sleep \\({pid}\\), which holds {site.address} \\(of generation 1\\)"
    code, text = on_terminal("reload", name)
    assert code == 0 and re.search(rf"reload: done after [^\r]*\r\n(holdfast: )?{left}\r\n$", text), text
    assert on_terminal("reload", "--quiet", name) == (0, "")
    result = holdfast.call("restart")
    assert result.returncode == 0 and f"sleep ({pid})" in holdfast.call("status").stdout
    assert stop_and_end_strays(holdfast) in ([], [pid])


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
    """It holds no listener: it can only be found in the whole tree of descendants."""
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
    """Each is asked to leave once its main process has left, and all are waited for."""
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
    """One line per step, and no endless wait: it is left behind."""
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
        r"generation 1 belongs to another user and cannot be signalled, it is waited for",
        r"generation 1 belongs to another user and cannot be signalled, it is left behind",
        r"a process of the service belongs to another user and cannot be signalled, it is left behind")]
    # Whose sockets may not be read is no known holder of one; only all descendants tell of it.
    assert [len(lines) for lines in told] == [1, 1, mode == "all"]
    assert all(f"python3 ({main})" in line for lines in told for line in lines)
    assert not holdfast.lines.find("in the background")


def test_a_worker_that_may_not_be_signalled(unprivileged):
    """At a reload: the successor serves, and the old generation is given up after the last step."""
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
