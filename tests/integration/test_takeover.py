# SPDX-License-Identifier: MIT
"""--take-over: holdfast takes the place of a running server, and nobody notices."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import cgroup, net, process, words
from harness.holdfast import Holdfast, call
from harness.lines import Lines
from harness.paths import HELPERS, HOLDFAST, PHP_FPM, PYTHON
from harness.process import Process, environment
from harness.wait import Ended, readable

TAKEN = r"taken over: .* has left"


def running(make_site, listen="tcp", timeout="0", **options):
    """A site whose php-fpm runs without holdfast, and that php-fpm."""
    site = make_site(listen, **options)
    site.configure(process_control_timeout=timeout, pid=site.directory / "fpm.pid")
    plain = site.plain()
    plain.start()
    return site, plain


def take_over(site, *options, pid=None, **more):
    return site.holdfast(f"--take-over={pid}" if pid else "--take-over", *options, **more)


def refused(site, *options, command=None, wrapper=(), env=None):
    """The message; and nothing has happened."""
    result = subprocess.run([*map(str, wrapper), str(HOLDFAST), "run", f"--name={site.name}", *options, "--",
                             *map(str, command or [PHP_FPM, "-y", site.configuration_path])],
                            env=environment(**(env or {})), capture_output=True, text=True, check=False)
    assert result.returncode == words.EXIT_FAILURE, result.stderr
    return result.stderr


def fails_to_start(site):
    """A service that leaves at once, behind a php-fpm that passes its own tests."""
    program = site.directory / "php-fpm-broken"
    program.write_text('#!/bin/sh\ncase " $* " in *" -t"*) exec php-fpm8.2 "$@";; esac\nexit 3\n')
    program.chmod(0o755)
    return [program, "-y", site.configuration_path]


def assert_it_switches(holdfast):
    """A socket that was taken over has a second side, like one that holdfast binds."""
    facts = json.loads(holdfast.call("status", "--json").stdout)
    assert facts["handover"] == "switch"
    assert [listener["one_side"] for listener in facts["listeners"]] == [None]


# ---- php-fpm ----


@pytest.mark.load
@pytest.mark.parametrize("listen, timeout", [("tcp", "30s"), ("unix", "0")])
def test_a_live_site(make_site, listen, timeout):
    site, plain = running(make_site, listen, timeout)
    inode = os.stat(site.address).st_ino if listen == "unix" else None
    old = plain.process.pid
    load = site.load()
    slow = site.start_slow(ms=1500)
    holdfast = take_over(site)
    holdfast.wait(TAKEN)
    assert slow.get()[0] == 200
    assert not plain.process.running()
    assert plain.process.wait() == -signal.SIGKILL
    assert site.main_pid() != old
    if inode:
        assert os.stat(site.address).st_ino == inode
    assert_it_switches(holdfast)
    holdfast.replace(2)
    load.assert_nothing_lost()
    assert (site.directory / "fpm.pid").read_text().strip() == str(holdfast.pid)
    holdfast.stop()
    assert not os.path.lexists(site.address)


def test_by_its_pid(make_site):
    site, plain = running(make_site)
    holdfast = take_over(site, pid=plain.process.pid)
    holdfast.wait(TAKEN)
    assert not plain.process.running()
    holdfast.stop()


NO_ZOMBIES = """
import signal, subprocess, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
subprocess.Popen(sys.argv[1:])
signal.pause()
"""


def test_a_master_that_is_reaped_at_once(make_site):
    """Its parent is quicker than holdfast, which no longer finds it."""
    site = make_site()
    site.configure(process_control_timeout="0", pid=site.directory / "fpm.pid")
    parent = Process([PYTHON, "-c", NO_ZOMBIES, PHP_FPM, "-F", "-y", site.configuration_path],
                     env=environment(NOTIFY_SOCKET=str(site.notify.path)), stderr=subprocess.DEVNULL)
    site.notify.wait("READY=1", parent.ended)
    master = int((site.directory / "fpm.pid").read_text())
    slow = site.start_slow()
    holdfast = take_over(site)
    holdfast.wait("finishes its requests")
    # on one processor, which the master does not share until it is gone
    processor = {min(os.sched_getaffinity(0))}
    for pid in (holdfast.pid, master):
        os.sched_setaffinity(pid, processor)
    os.sched_setscheduler(master, os.SCHED_FIFO, os.sched_param(1))
    assert slow.finish()[0] == 200
    holdfast.wait(TAKEN)
    holdfast.replace(2)
    holdfast.stop()
    parent.stop()


def test_a_generation_that_does_not_come_up_leaves_the_old_one_untouched(make_site):
    site, plain = running(make_site, "unix")
    before = sorted(process.children(plain.process.pid))
    told = refused(site, "--take-over", command=fails_to_start(site))
    assert "the take-over failed" in told and "goes on serving, untouched" in told
    assert process.stat(plain.process.pid)[0] == "S"
    assert sorted(process.children(plain.process.pid)) == before
    assert site.main_pid() == plain.process.pid
    assert (site.directory / "fpm.pid").read_text().strip() == str(plain.process.pid)


def end_service(holdfast):
    """Its workers would serve on; between the two moments returned they die, with what they work on."""
    main, = process.children(holdfast.pid)
    begin = time.monotonic()
    os.killpg(main, signal.SIGKILL)
    holdfast.wait(words.crashed(1))
    return begin, time.monotonic()


@pytest.mark.load
def test_a_generation_that_dies_while_it_settles_leaves_the_old_one_untouched(make_site):
    """Only the one that follows it takes over."""
    site, plain = running(make_site, "unix", children=4)
    before = sorted(process.children(plain.process.pid))
    load = site.load(slow_share=0)
    holdfast = take_over(site)
    killed = end_service(holdfast)
    assert f"(pid {plain.process.pid}) is not asked to leave yet and goes on serving" in \
        holdfast.wait("no generation is active any more")
    untouched = sorted(process.children(plain.process.pid)) == before, process.stat(plain.process.pid)[0] == "S"
    holdfast.wait(words.ready(2))
    holdfast.wait(TAKEN)
    told = holdfast.lines.text()
    assert told.count("finishes its requests") == 1
    assert told.index("finishes its requests") > re.search(words.ready(2), told).start()
    # What the workers that were killed had begun is lost with them.
    lost = load.failed()
    assert len(lost) <= 4
    assert all(entry["at"] <= killed[1] and entry["at"] + entry["latency"] >= killed[0] for entry in lost), lost
    assert untouched == (True, True)
    holdfast.stop()


def test_a_generation_that_dies_while_the_old_one_finishes(make_site):
    """The old master is not left stopped, and is asked again later."""
    site, plain = running(make_site, "unix")
    slow = site.start_slow()
    holdfast = take_over(site)
    holdfast.wait("finishes its requests")
    end_service(holdfast)
    assert "its master is continued" in holdfast.wait("no generation is active any more")
    holdfast.wait(words.ready(2))
    assert slow.finish()[0] == 200
    holdfast.wait(TAKEN)
    assert plain.process.wait() == -signal.SIGKILL
    holdfast.stop()


def test_a_broken_configuration_leaves_the_old_one_untouched(make_site):
    site, plain = running(make_site)
    site.break_configuration()
    assert "no_such_setting" in refused(site, "--take-over")
    assert site.main_pid() == plain.process.pid


def test_a_stop_in_the_middle_continues_the_old_master(make_site):
    """It is never left stopped: it goes on as if nothing had happened."""
    site, plain = running(make_site, "unix", children=4)
    old = plain.process.pid
    slow = site.start_slow()
    idle = [pid for pid in process.children(old) if pid != slow.worker]
    watched = [Ended(pid) for pid in idle]
    holdfast = take_over(site)
    readable([worker.fd for worker in watched], "end of the first worker")
    assert process.stat(old)[0] == "T"
    assert holdfast.process.stop() == 0
    assert process.stat(old)[0] != "T"
    assert slow.finish()[0] == 200
    assert site.main_pid() == old
    for worker in watched:
        worker.close()


def test_a_request_that_takes_too_long_is_ended(make_site):
    site, plain = running(make_site)
    slow = site.start_slow(ms=20000)
    holdfast = take_over(site, "--drain-timeout=1s")
    holdfast.wait(r"still has requests; it is sent SIGTERM")
    holdfast.wait(TAKEN)
    assert slow.get()[0] == 502
    assert not plain.process.running()
    holdfast.stop()


@pytest.mark.load
def test_more_workers_than_descriptors(make_site):
    site, plain = running(make_site, children=60)
    load = site.load(slow_share=0)
    holdfast = take_over(site, "--drain-timeout=1min", wrapper=("prlimit", "--nofile=60:60", HOLDFAST))
    holdfast.wait(TAKEN)
    assert plain.process.wait() == -signal.SIGKILL
    load.assert_nothing_lost()
    holdfast.stop()


def test_a_new_pool_is_bound_beside(make_site):
    site, _ = running(make_site, "unix")
    port = net.free_port()
    site.pools.append(type(site.pools[0])(f"127.0.0.1:{port}", name="new", children=1))
    site.configure()
    holdfast = take_over(site)
    holdfast.wait(TAKEN)
    assert net.listening(port)
    holdfast.stop()


# ---- other servers ----


def listening_server(address, **options):
    """A server that listens as from systemd, and the process."""
    listener = net.listen(address)
    program = Process([PYTHON, HELPERS / "with_listen_fds.py", listener.fileno(), "--", PYTHON,
                       HELPERS / "listen_fds_server.py"], pass_fds=[listener.fileno()], env=environment(**options))
    listener.close()
    return program


def ask(address):
    with socket.socket(socket.AF_UNIX if address.startswith("/") else socket.AF_INET) as connection:
        host, _, port = address.rpartition(":")
        connection.connect(address if address.startswith("/") else (host, int(port)))
        return connection.makefile().readline()


@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_another_server_is_asked_to_leave(make_site, listen):
    site = make_site(listen)
    server = listening_server(site.address)
    assert str(server.pid) in ask(site.address)
    holdfast = take_over(site, "--ready=notify", f"--listen={site.address}",
                         command=[PYTHON, HELPERS / "listen_fds_server.py"])
    holdfast.wait(TAKEN)
    assert server.wait() == 0
    before = ask(site.address)
    assert str(server.pid) not in before
    assert_it_switches(holdfast)
    for number in range(2, 4):  # there and back
        holdfast.replace(number)
        assert ask(site.address) != before
        before = ask(site.address)
    holdfast.stop()
    assert not os.path.lexists(site.address)


def test_a_path_that_the_old_server_removes_is_bound_anew(make_site):
    site = make_site("unix")
    code = ("import os,signal,socket,sys\n"
            "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(9)\n"
            "signal.signal(signal.SIGTERM, lambda *_: (os.unlink(sys.argv[1]), os._exit(0)))\n"
            "print(flush=True)\n"
            "while True: signal.pause()\n")
    server = Process([PYTHON, "-c", code, site.address], stdout=subprocess.PIPE, env=environment())
    assert server.popen.stdout.readline() == b"\n"
    server.popen.stdout.close()
    holdfast = take_over(site, "--ready=notify", f"--listen={site.address}",
                         command=[PYTHON, HELPERS / "listen_fds_server.py"])
    holdfast.wait(r"removed .* as it left")
    server.wait()
    holdfast.wait(words.reloaded(2))
    assert "pid" in ask(site.address)
    holdfast.stop()


def killed(make_site, *options):
    """A site whose holdfast was killed outside of systemd: php-fpm serves on, with its overlay and its private status
    socket. Returns the site, the dead holdfast and what belongs to that php-fpm."""
    site = make_site("unix")
    dead = site.holdfast(*options)
    dead.process.stop(signal.SIGKILL)
    return site, dead, {path for path in dead.runtime.rglob("*") if "gen-" in path.name or path.parent.name == "status"}


@pytest.mark.load
def test_after_a_holdfast_that_was_killed(make_site):
    """Its php-fpm's status sockets, overlay and pid file do not get in the way, and are neither overwritten nor removed."""
    site, dead, theirs = killed(make_site, "--probe=fastcgi:/ping")
    # Asked there: the pool itself, and the one beside it that compiles.
    assert sorted(path.suffix for path in theirs) == [".0", ".conf", ".k0", ".pid", ".w0"]
    before = {path: path.read_text() for path in theirs if path.is_file()}
    old = site.main_pid()
    told = refused(site, "--take-over", "--probe=fastcgi:/ping", command=fails_to_start(site))
    assert "goes on serving, untouched" in told
    assert {path: path.read_text() for path in theirs if path.is_file()} == before
    assert all(os.path.lexists(path) for path in theirs)
    load = site.load()
    holdfast = take_over(site, "--probe=fastcgi:/ping")
    holdfast.wait(TAKEN)
    assert site.main_pid() != old
    holdfast.replace(2)
    load.assert_nothing_lost()
    process.reap_strays()
    holdfast.stop()


# ---- a systemd that does not answer ----


@pytest.fixture
def silent(tmp_path):
    """An environment whose system bus accepts connections and never answers."""
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(tmp_path / "bus"))
        bus.listen()
        yield {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/bus"}


@pytest.fixture
def unit():
    group = cgroup.unified(".service")
    if not group:
        pytest.skip("no cgroup v2 here")
    yield group
    group.close()


def test_a_systemd_that_does_not_answer(make_site, unit, silent):
    """The event loop goes on, and the old server is not touched."""
    site = make_site()
    plain = Process([*unit.wrap(PHP_FPM), "-F", "-y", site.configuration_path], stderr=subprocess.DEVNULL,
                    env=environment(NOTIFY_SOCKET=str(site.notify.path)))
    site.notify.wait("READY=1", plain.ended)
    holdfast = Holdfast(site, ["--take-over"], None, env=silent)
    holdfast.launch()
    holdfast.wait("systemd is asked what it does when php-fpm8.2")
    holdfast.settle()
    assert holdfast.process.running()
    assert holdfast.process.wait() == words.EXIT_FAILURE
    holdfast.lines.join()
    told = [line for line in holdfast.lines.text().splitlines() if "does not say what it does" in line]
    assert len(told) == 1 and unit.path.name in told[0] and "Connection timed out" in told[0]
    assert site.main_pid() == plain.pid
    plain.stop()


def test_cleaning_up_after_a_systemd_that_does_not_answer(silent):
    result = call("stop", "--unit=any.service", **silent)
    assert result.returncode == words.EXIT_FAILURE
    told, = result.stderr.splitlines()
    assert "the processes left in any.service cannot be ended, as systemd does not say" in told
    cleanup = Process([HOLDFAST, "stop", "--unit=any.service"], env=environment(**silent), stderr=subprocess.PIPE)
    lines = Lines(cleanup.popen.stderr)
    cleanup.send(signal.SIGTERM)
    assert cleanup.wait() in (words.EXIT_FAILURE, -signal.SIGTERM)
    lines.join()
    assert "Connection timed out" not in lines.text()


# ---- refused, and nothing touched ----


def test_nobody_listens(site):
    told = refused(site, "--take-over")
    assert "there is nothing to take over: nobody listens at " + site.address in told
    assert not net.listening(site.ports()[0])


def test_the_socket_is_of_another(make_site):
    site, plain = running(make_site)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        told = refused(site, f"--take-over={os.getpid()}")
    assert f"{site.address} is not among the sockets of" in told
    assert f"but of php-fpm8.2 (pid {plain.process.pid})" in told
    assert site.main_pid() == plain.process.pid


def test_a_worker_is_no_master(make_site):
    site, plain = running(make_site)
    worker = process.children(plain.process.pid)[0]
    assert f"write --take-over={plain.process.pid}" in refused(site, f"--take-over={worker}")


def test_there_is_no_such_process(site):
    ended = Process(["true"], env=environment())
    ended.wait()
    assert f"there is no process {ended.pid}" in refused(site, f"--take-over={ended.pid}")


def test_another_address_of_the_same_port(make_site):
    site, plain = running(make_site, f"0.0.0.0:{net.free_port()}")
    old = site.address
    site.pools[0].listen = old.replace("0.0.0.0", "127.0.0.1")
    site.configure()
    assert f"listens at {old}, not at {site.pools[0].listen}" in refused(site, "--take-over")
    assert plain.process.running()


def test_a_non_blocking_socket_is_not_for_php_fpm(site):
    with net.listen(site.address) as listener:
        listener.setblocking(False)
        holder = Process(["sleep", "60"], pass_fds=[listener.fileno()], env=environment())
    assert "non-blocking" in refused(site, f"--take-over={holder.pid}")
    holder.stop()


def test_another_user_may_not(make_site):
    site, plain = running(make_site)
    runtime = site.directory / "user"
    runtime.mkdir()
    shutil.chown(runtime, "nobody", "nogroup")
    program = site.directory / "holdfast"
    shutil.copy(HOLDFAST, program)
    result = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", str(program), "run",
                             f"--take-over={plain.process.pid}", f"--listen={site.address}", "--", "sleep", "60"],
                            env=environment(XDG_RUNTIME_DIR=str(runtime)), capture_output=True, text=True, check=False)
    assert result.returncode == words.EXIT_FAILURE
    assert "not permitted" in result.stderr and "CAP_SYS_PTRACE" in result.stderr
    assert site.main_pid() == plain.process.pid


def test_another_network_namespace(make_site):
    site, plain = running(make_site)
    told = refused(site, f"--take-over={plain.process.pid}", wrapper=["unshare", "-n"])
    assert "another network namespace" in told and f"--target {plain.process.pid}" in told
    assert site.main_pid() == plain.process.pid


def test_a_pid_that_is_none(site):
    result = call("run", "--take-over=now", "--", "true")
    assert result.returncode == words.EXIT_USAGE
    assert '"now" is not a pid; write --take-over=PID' in result.stderr
