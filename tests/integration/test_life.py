# SPDX-License-Identifier: MIT
"""Services that misbehave on purpose: whatever they do, the socket is held and the fault is reported."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import net, process, words
from harness.paths import HELPERS, HOLDFAST, PHP_FPM, PYTHON
from harness.service import answer
from harness.wait import DEADLINE, Appearance, Ended


# Ready, and dead as soon as holdfast has read that (SIOCOUTQ): if there is a file "die" beside it.
DIES_ONCE_READY = """
import fcntl, os, pathlib, socket, struct, sys
directory = pathlib.Path(__file__).parent
if "NOTIFY_SOCKET" in os.environ and (directory / "die").exists():
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    while struct.unpack("i", fcntl.ioctl(sender, 0x5411, b"0000"))[0]:
        os.sched_yield()
    sys.exit(3)
os.execvp("php-fpm8.2", ["php-fpm8.2", *sys.argv[1:]])
"""


def assert_only_one_lives(holdfast, pid):
    assert process.children(holdfast.pid) == [pid]


# ---- what a service would have without holdfast ----


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_what_is_ignored_stays_ignored(site, verb):
    """As systemd (IgnoreSIGPIPE=) and nohup start programs; signals that nobody ignored are not ignored."""
    seen = site.directory / "seen"
    site.pools[:] = []
    ignoring = ["sh", "-c", 'trap "" PIPE HUP; exec "$@"', "sh", str(HOLDFAST)]
    show = ["sh", "-c", f"grep ^SigIgn: /proc/self/status >{seen}; exec sleep 60"]
    if verb == "run":
        holdfast = site.holdfast("--listen=none", "--ready=delay:0", command=show, wrapper=ignoring)
        holdfast.reload(2, how=signal.SIGUSR2)
        holdfast.stop()
    else:
        with net.listen(f"127.0.0.1:{net.free_port()}") as listener:
            subprocess.run([PYTHON, HELPERS / "with_listen_fds.py", str(listener.fileno()), "--", *ignoring, "exec", "--",
                            "grep", "^SigIgn:", "/proc/self/status"], pass_fds=[listener.fileno()],
                           env=process.environment(), stdout=seen.open("w"), check=True)
    ignored = int(seen.read_text().split()[1], 16) & ~(1 << signal.SIGXFSZ - 1)  # Python ignores that
    assert ignored == 1 << signal.SIGPIPE - 1 | 1 << signal.SIGHUP - 1


# Writes what it has to the file of its first word, and becomes the rest of them. A shell clears its signal mask.
SHOW = r"""#!/usr/bin/perl
my $file = shift;
open my $out, ">", "$file.new";
printf $out "%04o %d\n", umask, getpriority(0, 0);
print $out grep { !/^Sig/ || /^Sig(Blk|Ign)/ } map { open my $in, "<", "/proc/self/$_"; grep { /^[0-9a-f]+$|^Sig/ } <$in> }
    qw(oom_score_adj personality status);
close $out;
rename "$file.new", $file;
exec @ARGV if @ARGV;
"""


def test_the_service_has_what_it_would_have_without_holdfast(site):
    """Umask, priority, OOM score, personality and signal mask; so have the commands that are run for it, and a service
    that was started after an upgrade."""
    site.pools[:] = []
    show = site.directory / "show"
    show.write_text(SHOW)
    show.chmod(0o755)
    caller = ["sh", "-c", 'umask 027; echo 300 >/proc/self/oom_score_adj; exec nice -n 4 setarch --whole-seconds '
              'env --block-signal=USR2 --block-signal=RTMIN+2 --ignore-signal=PIPE "$@"', "sh"]
    seen = {name: site.directory / name for name in ("without", "service", "exec", "preflight", "event", "canary", "probe")}
    subprocess.run([*caller, show, seen["without"]], env=process.environment(), check=True)
    expected = seen["without"].read_text()
    assert expected.split()[:3] == ["0027", "4", "300"] and re.search(r"SigBlk:\t0000000[0-9a-f]+[1-9a-f]", expected), expected
    with net.listen(f"127.0.0.1:{net.free_port()}") as listener:
        subprocess.run([*caller, PYTHON, HELPERS / "with_listen_fds.py", str(listener.fileno()), "--", HOLDFAST, "exec", "--",
                        show, seen["exec"]], pass_fds=[listener.fileno()], env=process.environment(), check=True)
    with Appearance(seen["probe"]) as probed, Appearance(seen["event"]) as told:
        holdfast = site.holdfast("--ready=log:shown", f"--listen=127.0.0.1:{net.free_port()}", f"--preflight={show} {seen['preflight']}",
                                 f"--on-event={show} {seen['event']}", f"--canary=exec:{show} {seen['canary']}",
                                 f"--probe=exec:{show} {seen['probe']}", "--probe-every=100ms",
                                 command=[show, seen["service"], "sh", "-c", "echo shown; exec sleep 60"], wrapper=[*caller, HOLDFAST])
        probed.wait()
        told.wait()
    assert holdfast.call("reload").returncode == 0
    for name, path in seen.items():  # the helper of exec is of Python, which ignores SIGXFSZ
        facts = path.read_text().replace("1001080", "0001080")
        if name in ("preflight", "event", "canary", "probe"):  # by a shell
            facts = re.sub(r"(?<=SigBlk:\t).*", re.search(r"SigBlk:\t(.*)", expected)[1], facts)
        assert facts == expected, name
    seen["service"].unlink()
    assert holdfast.call("upgrade").returncode == 0
    assert holdfast.call("restart").returncode == 0
    assert seen["service"].read_text() == expected
    holdfast.stop()


@pytest.mark.parametrize("options", [(), ("--stdin=null",)])
def test_without_more_there_is_no_input(site, options):
    """The service must not consume the input of the script that starts holdfast."""
    site.pools[:] = []
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w"):
        holdfast = site.holdfast(*options, f"--listen=127.0.0.1:{net.free_port()}", "--ready=log:end of",
                                 command=["sh", "-c", "cat; echo end of input; exec sleep 60"], stdin=reading)
        holdfast.stop()


def test_a_server_that_ends_at_the_end_of_its_input(site):
    """It shares holdfast's own input, as each generation does."""
    site.pools[:] = []
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w") as stream:
        holdfast = site.holdfast("--stdin=inherit", f"--listen=127.0.0.1:{net.free_port()}", "--ready=log:line",
                                 "--exit-with-service", "--canary=exec:true", stdin=reading,
                                 command=["sh", "-c", "echo line by line; while read line; do echo had $line >&2; done; exit 7"])
        stream.write("first\n")
        stream.flush()
        holdfast.wait("had first")
        holdfast.replace(2)
        stream.write("second\n")
        stream.flush()
        holdfast.wait("had second")
    assert holdfast.process.wait() == 7


def test_a_terminal_as_input(site):
    """The service reads what is typed there."""
    site.pools[:] = []
    ours, theirs = os.openpty()
    with os.fdopen(ours, "wb", buffering=0) as keyboard, os.fdopen(theirs):
        holdfast = site.holdfast("--stdin=inherit", f"--listen=127.0.0.1:{net.free_port()}", "--ready=log:line", stdin=theirs,
                                 command=["sh", "-c", "[ -t 0 ] && echo line by line; read line; echo had $line >&2; exec sleep 60"])
        keyboard.write(b"restart please\n")
        holdfast.wait("had restart please")
        holdfast.stop()


def test_exec_has_its_input_where_asked_for():
    with net.listen(f"127.0.0.1:{net.free_port()}") as listener:
        for option, seen in (("--stdin=null", ""), ("--stdin=inherit", "typed")):
            run = subprocess.run([PYTHON, HELPERS / "with_listen_fds.py", str(listener.fileno()), "--", HOLDFAST, "exec", option, "--",
                                  "cat"], pass_fds=[listener.fileno()], env=process.environment(), input="typed", text=True,
                                 capture_output=True, timeout=DEADLINE, check=True)
            assert run.stdout == seen


def test_more_listeners_than_the_soft_limit_of_open_files(make_site):
    """A service whose limit would suffice without the sockets gets that many more."""
    site = make_site()
    for i in range(69):
        site.pools.append(type(site.pools[0])(str(site.directory / f"more{i}.sock"), name=f"more{i}", children=1))
    site.configure(**{"rlimit_files": "4096"})
    limited = ["prlimit", "--nofile=64:4096", HOLDFAST]
    told = subprocess.run([*map(str, limited), "check", "--", str(PHP_FPM), "-y", str(site.configuration_path)],
                          env=process.environment(), capture_output=True, text=True, check=True).stdout
    assert "more listeners (70) than its soft limit of open files (64)" in told
    holdfast = site.holdfast(wrapper=limited)
    limit = [line for line in open(f"/proc/{site.main_pid()}/limits") if line.startswith("Max open files")]
    assert limit[0].split()[3:5] in (["134", "4096"], ["4096", "4096"])
    assert site.get()[0] == 200
    holdfast.stop()
    hard = subprocess.run(["prlimit", "--nofile=80:80", HOLDFAST, "check", "--", PHP_FPM, "-y", site.configuration_path],
                          env=process.environment(), capture_output=True, text=True, check=False)
    assert hard.returncode == words.EXIT_FAILURE
    assert "70 listeners need more open files than the hard limit of 80 allows, 172 with two sockets for each" in hard.stdout
    one = subprocess.run(["prlimit", "--nofile=105:105", HOLDFAST, "check", "--handover=gentle", "--", PHP_FPM, "-y",
                          site.configuration_path], env=process.environment(), capture_output=True, text=True, check=False)
    assert one.returncode == 0, one.stdout


@pytest.mark.load
def test_more_listeners_than_1024_open_files(make_site):
    """1,200 pools, as a hosting provider has them."""
    site = make_site()
    site.pools[0].options["pm"] = "ondemand"
    for i in range(1199):
        site.pools.append(type(site.pools[0])(str(site.directory / f"more{i}.sock"), name=f"more{i}", children=1,
                                              options={"pm": "ondemand"}))
    site.configure()
    holdfast = site.holdfast(wrapper=["prlimit", "--nofile=1024:8192", HOLDFAST])
    assert site.get()[0] == 200
    assert holdfast.call("reload").returncode == 0
    assert site.get()[0] == 200
    holdfast.stop()


# ---- execution ----


@contextlib.contextmanager
def dead_directory(path):
    """A file system that never answers, like NFS whose server is gone: FUSE, with nobody reading its requests."""
    path.mkdir()
    fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        subprocess.run(["mount", "-t", "fuse", "-o", f"fd={fuse},rootmode=40000,user_id=0,group_id=0", "dead", path],
                       pass_fds=[fuse], check=True, timeout=DEADLINE)
        try:
            yield
        finally:
            os.close(fuse)  # whatever waits gets an error
            fuse = -1
            subprocess.run(["umount", "-l", path], check=True, timeout=DEADLINE)
    finally:
        if fuse >= 0:
            os.close(fuse)


def test_a_directory_on_a_dead_file_system_keeps_only_the_start_waiting(service, tmp_path):
    """The child hangs before it executes the service; holdfast answers, and goes on when it can."""
    current = tmp_path / "current"
    current.symlink_to(tmp_path)
    holdfast = service.start(f"--directory={current}")
    with dead_directory(tmp_path / "dead"):
        current.unlink()
        current.symlink_to(tmp_path / "dead")
        os.kill(service.ask(), signal.SIGKILL)
        holdfast.wait(words.crashed(1))
        assert "starting" in holdfast.call("status").stdout
        child, = process.children(holdfast.pid)
        assert os.readlink(f"/proc/{child}/exe") == str(HOLDFAST.resolve())
        assert not [what for what in process.descriptors(child).values() if what.endswith("/lock")]
        current.unlink()
        current.symlink_to(tmp_path)
    assert "its working directory cannot be entered: " in holdfast.wait(words.start_failed(2))
    service.site.notify.wait("READY=1", holdfast.process.ended)
    holdfast.wait(words.ready(3))
    holdfast.stop()


@pytest.mark.parametrize("what", ["directory", "program"])
def test_a_reload_that_looks_at_a_dead_file_system_keeps_nobody_else_waiting(service, tmp_path, what):
    """A child looks at it, and it may not even be possible to kill that child."""
    current = tmp_path / "current"
    current.symlink_to(tmp_path)
    (tmp_path / "python").symlink_to(PYTHON)
    if what == "directory":
        holdfast = service.start(f"--directory={current}", "--ready-timeout=2s")
    else:
        service.command[0] = current / "python"
        holdfast = service.start("--ready-timeout=2s")
    old = service.ask()
    with dead_directory(tmp_path / "dead"):
        current.unlink()
        current.symlink_to(tmp_path / "dead")
        reload = process.Process([HOLDFAST, "reload", f"--name={holdfast.site.name}"], env=process.environment(),
                                 stderr=subprocess.PIPE)
        assert holdfast.call("status").returncode == 0
        assert service.ask() == old
        assert reload.wait() == words.EXIT_FAILURE
        said = reload.popen.stderr.read().decode()
        assert "does not answer" in said and str(current) in said, said
        current.unlink()
        current.symlink_to(tmp_path)
    assert holdfast.call("reload").returncode == 0
    holdfast.wait(words.gone(1))
    assert service.ask() != old
    holdfast.stop()


# ---- readiness ----


def test_never_ready_at_a_reload(service):
    """The caller gets the error, and the old generation goes on serving."""
    holdfast = service.start("--ready-timeout=1s")
    old = service.ask()
    service.behave("never-ready")
    result = holdfast.call("reload")
    assert result.returncode == words.EXIT_FAILURE
    assert "generation 2 failed to start: not ready after 1 s" in result.stderr
    assert service.ask() == old
    holdfast.wait(words.gone(2))
    assert_only_one_lives(holdfast, old)
    service.behave("serve")
    assert holdfast.call("reload").returncode == 0
    holdfast.wait(words.gone(1))
    assert service.ask() != old
    holdfast.stop()


def test_never_ready_at_the_first_start(service):
    """It is tried again, later and later, until holdfast is asked to stop."""
    service.behave("never-ready")
    holdfast = service.launch("--ready-timeout=300ms")
    for number in range(1, 5):
        line = holdfast.wait(words.start_failed(number))
        assert "not ready after 300 ms" in line
    delays = [line.rpartition("within ")[2] for line in holdfast.lines.find("next start is tried within")]
    # The first one is replaced at once.
    assert delays[:2] == ["100 ms", "200 ms"]
    assert "READY=1" not in "\n".join(service.site.notify.messages)
    holdfast.stop()


def test_ready_late(service):
    """Clients that connect in the meantime wait in the queue and are answered."""
    service.behave("late", f"--trigger={service.fifo}")
    holdfast = service.launch()
    holdfast.wait(r"misbehave \d+: waits")
    waiting = [service.connect() for _ in range(20)]
    assert not holdfast.lines.find(words.ready(1))
    service.trigger()
    pids = {answer(connection) for connection in waiting}
    for connection in waiting:
        connection.close()
    holdfast.wait(words.ready(1))
    assert pids == {service.ask()}
    holdfast.stop()


def test_ready_late_at_a_reload(service):
    """The old generation serves until then."""
    holdfast = service.start()
    old = service.ask()
    service.behave("late", f"--trigger={service.fifo}")
    holdfast.send(signal.SIGHUP)
    holdfast.wait(r"misbehave \d+: waits")
    assert {service.ask() for _ in range(20)} == {old}
    service.trigger()
    holdfast.wait(words.reloaded(2))
    holdfast.wait(words.gone(1))
    assert service.ask() != old
    holdfast.stop()


@pytest.mark.parametrize("extend", [1_000_000, 0], ids=["extended", "not-extended"])
def test_a_slow_start_may_ask_for_more_time(service, extend):
    service.behave("slow", "--seconds=2.5", f"--extend={extend}")
    holdfast = service.launch("--ready-timeout=1s")
    if extend:
        holdfast.wait(words.ready(1))
        assert not holdfast.lines.find(words.start_failed(1))
        assert service.ask()
    else:
        assert "not ready after 1 s" in holdfast.wait(words.start_failed(1))
    holdfast.stop()


def test_to_ask_for_less_time_shortens_nothing(service):
    """Nor does it count as an extension: a start that asks for a microsecond again and again keeps all of its time."""
    service.behave("slow", "--seconds=1.5", "--extend=1", "--every=0.02")
    holdfast = service.launch("--ready-timeout=2s")
    holdfast.wait(words.ready(1))
    assert not holdfast.lines.find(words.start_failed(1))
    holdfast.stop()


def test_a_start_may_not_ask_for_ever(service):
    """Each extension is at most as long as the timeout, and their number is limited."""
    service.behave("slow", "--seconds=300", "--extend=3600000000")
    holdfast = service.launch("--ready-timeout=300ms")
    assert "not ready after" in holdfast.wait(words.start_failed(1))
    holdfast.stop()


def test_ready_of_a_stranger_is_not_believed(service):
    """READY=1 counts neither from another process of the machine nor from a child of the service."""
    service.behave("stranger", f"--trigger={service.fifo}")
    holdfast = service.launch()
    holdfast.wait(r"misbehave \d+: waits")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"READY=1", str(holdfast.runtime / "notify"))
        sender.sendto(f"READY=1\nMAINPID={os.getpid()}".encode(), str(holdfast.runtime / "notify"))
    holdfast.settle()
    assert not holdfast.lines.find(words.ready(1))
    service.trigger()
    holdfast.wait(words.ready(1))
    holdfast.stop()


# ---- leaving ----


def test_a_service_that_does_not_leave(service):
    """It is asked, asked again, then killed."""
    holdfast = service.start("--drain-timeout=500ms", behaviour=["stubborn"])
    old = service.ask()
    service.behave("serve")
    with Ended(old) as stubborn:
        holdfast.reload(2)
        holdfast.wait(r"generation 1 is still there, it is sent SIGTERM")
        # It takes connections still, but the new one is there.
        assert stubborn.alive()
        holdfast.wait(r"generation 1 is still there, it is sent SIGKILL")
        stubborn.wait()
    holdfast.wait(words.gone(1))
    assert len(holdfast.lines.find(rf"misbehave {old}: does not leave")) == 2
    new = service.ask()
    assert new != old
    assert_only_one_lives(holdfast, new)
    holdfast.stop()


def test_a_main_process_that_leaves_its_worker(service):
    """A crash; the worker is asked to leave, and the next generation serves."""
    holdfast = service.start(behaviour=["leave-worker", f"--trigger={service.fifo}"])
    worker = service.ask()
    assert worker not in process.children(holdfast.pid)
    service.behave("serve")
    with Ended(worker) as orphan:
        service.trigger()
        holdfast.wait(words.crashed(1))
        orphan.wait()
    holdfast.wait(words.ready(2))
    holdfast.wait(words.gone(1))
    assert holdfast.lines.find(rf"misbehave {worker}: leaves as asked")
    assert_only_one_lives(holdfast, service.ask())
    holdfast.stop()


def test_a_background_process_that_holds_the_listener(service):
    """It runs another program in its own session, and could accept connections that wait in the queue."""
    holdfast = service.start("--cgroup=off", behaviour=["leave-background"])
    background = int(holdfast.wait(r"background \d+").rpartition(" ")[2])
    assert any(target.startswith("socket:") for target in process.descriptors(background).values())
    service.behave("serve")
    with Ended(background) as sleeper:
        holdfast.replace(2)
        assert not sleeper.alive()
    assert service.ask()
    assert not holdfast.lines.find("SIGKILL|SIGTERM")
    holdfast.stop()
    assert not net.listening(int(service.address.rpartition(":")[2]))


def test_a_service_that_exits_at_once(service):
    """It is started again and again, later and later; holdfast goes on and obeys commands."""
    service.behave("exit-at-once")
    holdfast = service.launch()
    for number in range(1, 6):
        line = holdfast.wait(words.start_failed(number))
        assert "exited with status 0 before it was ready (a service must stay in the foreground)" in line
    delays = [line.rpartition("within ")[2] for line in holdfast.lines.find("next start is tried within")]
    assert delays[:3] == ["100 ms", "200 ms", "400 ms"]
    waiting = service.connect()
    service.behave("serve")
    with waiting:
        assert answer(waiting) == service.ask()
    holdfast.stop()


def test_a_service_that_exits_at_once_ends_with_holdfast(service):
    service.behave("exit-at-once")
    holdfast = service.launch()
    holdfast.wait("next start is tried within")
    holdfast.stop()


def test_backoff_has_a_maximum(service):
    service.behave("exit-at-once")
    holdfast = service.launch("--backoff-max=150ms")
    holdfast.wait(words.start_failed(7))
    delays = [line.rpartition("within ")[2] for line in holdfast.lines.find("next start is tried within")]
    assert delays[:4] == ["100 ms", "150 ms", "150 ms", "150 ms"]
    holdfast.stop()


def test_a_service_that_leaves_unasked(service):
    """It announces that with STOPPING=1: the next one is ready before it is gone, and it is not asked to leave again."""
    holdfast = service.start(behaviour=["leave-unasked", f"--trigger={service.fifo}"])
    holdfast.wait(r"misbehave \d+: waits")
    leaving = process.children(holdfast.pid)
    service.behave("serve")
    service.trigger()
    holdfast.wait(r"generation 1 leaves by itself \(STOPPING=1\); the next one is started")
    holdfast.wait(words.ready(2))
    new = service.ask()
    assert leaving + [new] == sorted(process.children(holdfast.pid))
    service.trigger()
    holdfast.wait(words.gone(1))
    assert not holdfast.lines.find("crashed")
    assert not holdfast.lines.find("is asked to leave")
    assert_only_one_lives(holdfast, new)
    holdfast.stop()


@pytest.mark.load
def test_a_successor_that_dies_at_once(site):
    """The old generation has not been asked to leave yet, and simply goes on serving."""
    command = site.directory / "php-fpm-dies"
    command.write_text(f"#!{PYTHON}\n" + DIES_ONCE_READY)
    command.chmod(0o755)
    holdfast = site.holdfast("--adapter=php-fpm", "--handover=gentle",
                             command=[command, "-y", site.configuration_path])
    load = site.load()
    first = site.main_pid()
    (site.directory / "die").touch()
    assert holdfast.call("reload").returncode == 0
    holdfast.wait(words.crashed(2))
    holdfast.wait(r"generation 1 serves again: its successor was lost")
    holdfast.wait(words.gone(2))
    assert site.main_pid() == first
    (site.directory / "die").unlink()
    holdfast.reload(3)
    holdfast.wait(words.gone(1))
    assert site.main_pid() != first
    load.assert_nothing_lost()
    assert not holdfast.lines.find("generation 4")
    holdfast.stop()


def test_a_service_that_dies_while_it_drains(service):
    """It was leaving anyway: this is not a crash, and nothing is started in its place."""
    holdfast = service.start(behaviour=["die-draining"])
    service.behave("serve")
    holdfast.replace(2)
    new = service.ask()
    holdfast.settle()
    assert not holdfast.lines.find("crashed")
    assert not holdfast.lines.find("generation 3")
    assert_only_one_lives(holdfast, new)
    holdfast.stop()


def test_a_service_that_dies_when_it_is_stopped(service):
    service.start(behaviour=["die-draining"]).stop()


# ---- outage of a service that is not FastCGI ----


def test_in_an_outage_callers_are_closed(service):
    holdfast = service.start("--busy-after=1s", "--backoff-max=200ms")
    service.behave("exit-at-once")
    start = holdfast.mark()
    with Ended(service.ask()) as main:
        signal.pidfd_send_signal(main.fd, signal.SIGKILL)
    holdfast.wait(words.crashed(1))
    early = service.connect()
    holdfast.wait(r"outage: no generation has been ready for 1 s", start)
    # The one that waits already and those that come: nothing but holdfast could end them.
    with early:
        assert early.recv(1) == b""
    for _ in range(20):
        with service.connect() as connection:
            assert connection.recv(1) == b""
    service.behave("serve")
    holdfast.wait(r"recovered: generation \d+ serves", start)
    assert {service.ask() for _ in range(20)} == set(process.children(holdfast.pid))
    holdfast.stop()


def test_an_outage_of_a_start_that_hangs(service):
    """A start that is under way is no reason to let clients wait any longer."""
    holdfast = service.start("--busy-after=500ms", "--ready-timeout=1s", "--backoff-max=200ms")
    service.behave("never-ready")
    with Ended(service.ask()) as main:
        signal.pidfd_send_signal(main.fd, signal.SIGKILL)
    start = holdfast.mark()
    holdfast.wait(r"outage: no generation has been ready for 500 ms", start)
    with service.connect() as connection:
        assert connection.recv(1) == b""
    service.behave("serve")
    holdfast.wait(r"recovered: generation \d+ serves", start)
    assert service.ask()
    holdfast.stop()


# ---- recycling ----


@pytest.mark.load
def test_recycle(make_site):
    """It happens automatically, not before half of the time has passed, and loses nothing."""
    site = make_site()
    holdfast = site.holdfast("--recycle-every=2s")
    load = site.load()
    first = site.main_pid()
    moments = []
    for number in range(2, 5):
        holdfast.wait(rf"recycle: generation {number} is active")
        moments.append(time.monotonic())
        holdfast.wait(words.gone(number - 1))
    ages = [later - earlier for earlier, later in zip(moments, moments[1:])]
    # From one readiness to the next, as this process learns of them: 0.2 s for the log's way.
    assert all(age >= 0.8 for age in ages), ages
    assert site.main_pid() != first
    load.assert_nothing_lost()
    holdfast.stop()
