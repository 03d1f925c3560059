# SPDX-License-Identifier: MIT
"""Odd parents, hostile callers, wrapped programs, settings that change under a held socket."""
import fcntl
import json
import os
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess

import pytest
import shlex

from harness import fastcgi, net, process, words
from harness.lines import Lines
from harness.paths import HELPERS, HOLDFAST, PHP_CGI, PHP_FPM, PHP_FPM_PLAIN, PYTHON
from harness.phpfpm import Pool
from harness.process import Process, children, descriptors, environment, stat
from harness.site import Site
from harness.sleeper import sleeper
from harness.wait import Appearance, Ended

SOON = 20  # s, and less than the drain timeout of 30 s
SERVER = HELPERS / "listen_fds_server.py"


def script(site, name, text):
    path = site.directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def dial(holdfast):
    """A connection to the control socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(holdfast.runtime / "control"))
    return connection


def held(holdfast):
    """The kinds of all descriptors that it holds when nothing is left to be done; one is of the call that asks."""
    with holdfast.settled():
        return sorted(re.sub(r"\d+", "N", what) for what in descriptors(holdfast.pid).values())


def kill(pid):
    with Ended(pid) as held:
        signal.pidfd_send_signal(held.fd, signal.SIGKILL)


# ---- callers ----

def test_a_silent_caller_does_not_delay_the_stop(site):
    holdfast = site.holdfast()
    with dial(holdfast):
        holdfast.process.stop(signal.SIGTERM, SOON)


def bus_call(serial):
    """A D-Bus method call that is answered with an error."""
    fields = b""
    for code, kind, text in ((1, b"o", b"/org/holdfast/Control1"), (2, b"s", b"org.holdfast.Control1"),
                             (3, b"s", b"NoSuchMethod")):
        fields += b"\0" * (-len(fields) % 8) + struct.pack("<BB2sI", code, 1, kind + b"\0", len(text)) + text + b"\0"
    message = struct.pack("<cBBBIII", b"l", 1, 0, 1, 0, serial, len(fields)) + fields
    return message + b"\0" * (-len(message) % 8)


def test_a_caller_that_does_not_read_does_not_delay_the_stop(site):
    holdfast = site.holdfast()
    with dial(holdfast) as connection:
        connection.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\nBEGIN\r\n")
        connection.sendall(b"".join(bus_call(serial) for serial in range(1, 2000)))
        assert holdfast.call("reload").returncode == 0
        holdfast.process.stop(signal.SIGTERM, SOON)


def test_callers_that_come_and_go_leave_no_descriptor(site):
    holdfast = site.holdfast()
    site.main_pid()
    before = held(holdfast)
    for opening in (b"", b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n", b"nonsense" * 100) * 50:
        with dial(holdfast) as connection:
            connection.sendall(opening)
    holdfast.replace(2)
    assert held(holdfast) == before
    holdfast.stop()


def test_a_caller_that_cannot_be_accepted_costs_no_time(site):
    holdfast = site.holdfast()
    hard = resource.prlimit(holdfast.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(holdfast.pid, resource.RLIMIT_NOFILE, (3, hard))

    def ticks():
        fields = pathlib.Path(f"/proc/{holdfast.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    with dial(holdfast):
        before = ticks()
        with pytest.raises(subprocess.TimeoutExpired):
            holdfast.process.popen.wait(2)
        assert ticks() - before < os.sysconf("SC_CLK_TCK") // 2
    resource.prlimit(holdfast.pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert holdfast.call("reload").returncode == 0
    holdfast.stop()


# ---- parents ----

def test_a_parent_that_ignores_sigchld(site):
    holdfast = site.holdfast(wrapper=("env", "--ignore-signal=CHLD", HOLDFAST))
    holdfast.reload(2)
    holdfast.stop()


def test_closed_standard_descriptors(site):
    """Nothing of holdfast's own gets their numbers, nor does the service get it."""
    holdfast = site.holdfast(wrapper=("sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', HOLDFAST))
    for number in range(3):
        assert descriptors(holdfast.pid)[number] == "/dev/null"
    master = descriptors(site.main_pid())
    assert master[0] == master[1] == "/dev/null"
    holdfast.stop()


def test_a_working_directory_that_was_deleted(site):
    """As a deploy may delete the release that holdfast was started from."""
    release = site.directory / "release"
    release.mkdir()
    holdfast = site.holdfast(wrapper=("env", "-C", release, HOLDFAST))
    release.rmdir()
    result = holdfast.call("reload")
    assert result.returncode == 0, result.stderr
    holdfast.stop()


def test_a_log_that_nobody_reads(site):
    """A service whose log nobody reads is replaced all the same."""
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * size)
    address = f"127.0.0.1:{net.free_port()}"
    site.pools[:] = []
    holdfast = Process([HOLDFAST, "run", f"--name={site.name}", f"--listen={address}", "--", "sh", "-c",
                        f"exec {PYTHON} {shlex.quote(str(SERVER))} 2>/dev/null"],
                       env=environment(NOTIFY_SOCKET=str(site.notify.path)), stderr=writer)
    os.close(writer)
    try:
        site.notify.wait("READY=1", holdfast.ended)
        first = children(holdfast.pid)[0]
        kill(first)
        with fastcgi.connect(address) as connection, connection.makefile() as stream:
            assert json.loads(stream.read())["pid"] != first
        assert holdfast.stop(signal.SIGTERM, SOON) == 0
    finally:
        holdfast.stop(signal.SIGKILL)
        process.end_strays()
        os.close(reader)


def test_exec_does_not_make_the_service_a_subreaper(site):
    """Otherwise php-fpm would get the children of others."""
    with net.listen(site.address) as listener:
        master = Process([PYTHON, HELPERS / "with_listen_fds.py", f"php={listener.fileno()}", "--", HOLDFAST, "exec",
                          "--", PHP_FPM, "-y", site.configuration_path], pass_fds=[listener.fileno()],
                         env=environment(NOTIFY_SOCKET=str(site.notify.path)))
    try:
        site.notify.wait("READY=1", master.ended)
        leaked = int(site.get("/leak.php")[1].split()[1])
        assert stat(leaked)[1] == os.getpid()
    finally:
        master.stop(signal.SIGQUIT)
        process.end_strays()


def test_stop_returns_when_all_is_let_go(site):
    """A start right after it finds the name and the addresses free."""
    site.pools[:] = []
    paths = [site.directory / f"{number}.sock" for number in range(1000)]
    holdfast = site.holdfast(*(f"--listen={path}" for path in paths), command=[SERVER])
    result = holdfast.call("stop")
    assert result.returncode == 0, result.stderr
    assert not [path.name for path in paths if path.exists()]
    assert not holdfast.runtime.exists()
    holdfast.stop()


# ---- programs ----

@pytest.mark.parametrize("adapter", ["php-cgi", "php-fpm"])
def test_orphans_of_a_program_that_a_script_executed(site, adapter):
    """The generation's program is the one that the script executed."""
    if adapter == "php-fpm":
        holdfast = site.holdfast(command=[PHP_FPM_PLAIN, "-y", site.configuration_path])
    else:
        holdfast = site.holdfast(f"--listen={site.address}", "--handoff=stdin", env={"PHP_FCGI_CHILDREN": "4"},
                                 command=[script(site, "wrapper", f"exec {PHP_CGI}")])
    master = site.main_pid()
    orphans = [Ended(pid) for pid in children(master)]
    assert orphans
    kill(master)
    holdfast.wait(words.gone(1))
    left = [orphan.pid for orphan in orphans if orphan.alive()]
    for orphan in orphans:
        orphan.close()
    assert not left
    holdfast.stop()


def test_a_service_that_makes_itself_a_daemon(site):
    """The log says why that does not work, and the escaped process ends with the stop."""
    site.pools[:] = []
    fifo = site.directory / "escaped"
    os.mkfifo(fifo)
    pids = site.directory / "pids"
    program = script(site, "daemon",
                     f"setsid sh -c 'echo $$ >{fifo}; exec sleep 60' & read line <{fifo}; echo $line >>{pids}")
    holdfast = Process([HOLDFAST, "run", f"--name={site.name}", f"--listen=127.0.0.1:{net.free_port()}", "--", program],
                       env=environment(), stderr=subprocess.PIPE)
    lines = Lines(holdfast.popen.stderr)
    try:
        lines.wait("foreground")
        holdfast.stop(signal.SIGTERM, SOON)
        escaped = [int(pid) for pid in pids.read_text().split()]
        assert escaped and not any(map(stat, escaped))
        assert not process.strays()
    finally:
        holdfast.stop(signal.SIGKILL)
        process.end_strays()
        lines.join()


def test_stop_during_a_preflight_leaves_nothing(site):
    """A php-fpm behind a script is more than one process."""
    slow = site.directory / "slow"
    program = script(site, "php-fpm-slow", f'[ -e {slow} ] && {{ : >{slow}.mark; sleep 60; }}\nexec {PHP_FPM} "$@"')
    holdfast = site.holdfast(command=[program, "-y", site.configuration_path])
    with Appearance(site.directory / "slow.mark") as mark:
        slow.touch()
        holdfast.send(signal.SIGHUP)
        mark.wait()
    holdfast.stop()


def test_endless_output_of_a_preflight(site):
    flood = site.directory / "flood"
    program = script(site, "php-fpm-flood", f'[ -e {flood} ] && {{ : >{flood}.mark; exec yes; }}\nexec {PHP_FPM} "$@"')
    holdfast = site.holdfast(command=[program, "-y", site.configuration_path])
    with Appearance(site.directory / "flood.mark") as mark:
        flood.touch()
        holdfast.send(signal.SIGHUP)
        mark.wait()
    holdfast.stop()


def test_a_dump_that_is_too_long_is_not_taken_for_a_whole_one(site):
    noise = site.directory / "noise"
    noise.write_bytes(b"[now] NOTICE: \n" * 1200000)
    program = script(site, "php-fpm-long",
                     f'case "$*" in *-tt*) {PHP_FPM} "$@"; cat {noise} >&2; exit;; esac\nexec {PHP_FPM} "$@"')
    result = subprocess.run([HOLDFAST, "run", f"--name={site.name}", "--", program, "-y", site.configuration_path],
                            env=environment(), capture_output=True, text=True, timeout=SOON, check=False)
    assert result.returncode == words.EXIT_FAILURE
    assert "-tt" in result.stderr and len(result.stderr.splitlines()) == 1


# ---- settings that change ----

@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_a_pool_comes_back_while_its_last_generation_drains(make_site, listen):
    """In between its address is free, and nobody answers there; what was accepted is finished."""
    site = make_site(listen)
    holdfast = site.holdfast()
    slow = site.start_slow()
    pools, site.pools = site.pools, [Pool(f"127.0.0.1:{net.free_port()}", name="other", children=1)]
    site.configure()
    assert holdfast.call("reload").returncode == 0
    assert site.get()[0] == 502
    site.pools = pools
    site.configure()
    result = holdfast.call("reload")
    assert result.returncode == 0, result.stderr
    assert site.get()[0] == 200
    assert not slow.done()
    assert slow.finish()[0] == 200
    holdfast.stop()


def acl(path):
    return subprocess.run(["getfacl", "-cp", path], env=environment(), check=True, capture_output=True,
                          text=True).stdout.split()


def test_rights_follow_the_settings(make_site):
    site = make_site("unix")
    holdfast = site.holdfast()
    options = site.pools[0].options
    for settings, mode, uid, listed in (
            ({"listen.mode": "0666", "listen.owner": "nobody"}, 0o666, 65534, []),
            ({"listen.mode": "0600", "listen.acl_users": "nobody"}, None, 65534, ["user:nobody:rw-"]),
            ({"listen.mode": "0606"}, 0o606, 33, [])):
        options.clear()
        options.update(settings)
        site.configure()
        result = holdfast.call("reload")
        assert result.returncode == 0, result.stderr
        facts = os.stat(site.address)
        assert mode is None or facts.st_mode & 0o777 == mode
        assert facts.st_uid == uid
        assert [entry for entry in acl(site.address) if entry.startswith("user:nobody")] == listed
    holdfast.stop()


def test_a_failed_reload_changes_nothing_of_what_is_held(make_site):
    site = make_site("unix", pool_options={"listen.backlog": "77", "listen.mode": "0600"})
    holdfast = site.holdfast()
    site.pools[0].options.update({"listen.backlog": "55", "listen.mode": "0666", "chroot": "/nonexistent"})
    site.configure()
    assert holdfast.call("reload").returncode == words.EXIT_FAILURE
    assert net.backlog(site.address) == 77
    assert os.stat(site.address).st_mode & 0o777 == 0o600
    del site.pools[0].options["chroot"]
    site.configure()
    assert holdfast.call("reload").returncode == 0
    assert net.backlog(site.address) == 55
    assert os.stat(site.address).st_mode & 0o777 == 0o666
    holdfast.stop()


@pytest.mark.parametrize("verb", ["reload", "restart"])
def test_a_path_that_was_removed_comes_back(make_site, verb):
    site = make_site("unix")
    holdfast = site.holdfast()
    os.unlink(site.address)
    assert holdfast.call(verb).returncode == 0
    assert site.get()[0] == 200
    holdfast.stop()


@pytest.mark.long(40)
@pytest.mark.parametrize("server,reloads", [
    ("sleeper", 200), ("php-fpm", 20), pytest.param("php-fpm", 200, marks=pytest.mark.full)])
def test_many_reloads_leave_no_descriptor(make_site, server, reloads):
    """php-fpm is asked for its listeners each time, which takes much longer than the rest."""
    site = make_site(children=1)
    start = sleeper if server == "sleeper" else Site.holdfast
    holdfast = start(site, "--handover=at-once")
    holdfast.replace(2)
    before = held(holdfast)
    for number in range(3, reloads + 3):
        holdfast.replace(number)
        site.notify.drain()  # what does not fit there waits on a descriptor of its own
    assert held(holdfast) == before
    holdfast.stop()
