# SPDX-License-Identifier: MIT
"""holdfast as a container's first process: what it may write, who it runs as, signals, orphans, exit status."""
import signal

import pytest

from harness import net, process, words
from harness.paths import HOLDFAST, PHP_FPM, PHP_FPM_PLAIN
from harness.wait import Ended

pytestmark = pytest.mark.load

STDERR = "/proc/self/fd/2"
ORPHANS = """
$| = 1;
for (1..10000) { if (!($child = fork)) { fork; _exit 0 } waitpid $child, 0; print "$_ left\\n" if $_ % 1000 == 0 }
print "all left\\n";
sleep;"""
ANY_UID = 1000650000  # as OpenShift gives them


@pytest.fixture
def site(make_site):
    return make_site(error_log=STDERR)


def start(contain, site, *options, program=PHP_FPM, **more):
    """php-fpm in a container, that is ready."""
    # The one thing of php-fpm's own that needs a file: a lock below /tmp.
    php = ["-y", site.configuration_path, *(["-d", "opcache.enable=0"] if more.get("writable") == () else [])]
    command = [HOLDFAST, "run", f"--name={site.name}", *options, "--", program, *php]
    return contain(site, *command, **more).start()


def reload(container, number):
    container.kill(signal.SIGHUP)
    container.wait(words.reloaded(number))
    container.wait(words.gone(number - 1))


# ---- what it may write, and who it runs as ----

NOTHING_WRITABLE = {"writable": (), "site_writable": False}
PLACES = {
    "tmpfs-run": {},
    "nothing-writable": NOTHING_WRITABLE,
    "any-uid": {"uid": ANY_UID, "capabilities": []},
    "any-uid-nothing-writable": {"uid": ANY_UID, "capabilities": [], **NOTHING_WRITABLE},
    "any-uid-own-root": {"uid": ANY_UID, "capabilities": [], "writable": (), "read_only": False},
    "few-capabilities": {"capabilities": ["CAP_SETUID", "CAP_SETGID", "CAP_KILL"]},
}


@pytest.mark.parametrize("program", [PHP_FPM, PHP_FPM_PLAIN], ids=["notify", "pid-file"])
@pytest.mark.parametrize("place", PLACES)
def test_reloads_under_load_and_a_stop(site, contain, place, program):
    container = start(contain, site, "--handover=switch", program=program, **PLACES[place])
    load = site.load()
    for number in range(2, 5):
        reload(container, number)
    load.assert_nothing_lost()
    assert container.stop() == 0
    print(f"{place}: {load.result['requests']} requests, 0 failed")


def test_a_canary_and_a_probe_where_nothing_is_writable(site, contain):
    container = start(contain, site, "--canary=fastcgi:/hello.php", f"--canary-root={site.root}", "--probe=tcp",
                      "--probe-every=100ms", **NOTHING_WRITABLE)
    reload(container, 2)
    container.wait("generation 2 had nothing to warm; scripts are not compiled: the runtime directory is in memory; let /run be written")
    with open(site.root / "hello.php", "w") as stream:
        stream.write("<?php http_response_code(500);")
    container.kill(signal.SIGHUP)
    container.wait("canary .*500")
    site.root.joinpath("hello.php").write_text("<?php echo 'hello';")
    assert site.get()[0] == 200
    assert container.stop() == 0


def test_the_verbs_and_an_upgrade_inside(site, contain):
    container = start(contain, site)
    for verb in ("reload", "restart", "upgrade", "status"):
        result = container.execute(HOLDFAST, verb)
        assert result.returncode == 0, result.stderr
    assert site.get()[0] == 200
    result = container.execute(HOLDFAST, "stop")
    assert result.returncode in (0, 128 + signal.SIGKILL), result.stderr  # the kernel may end it with the container
    assert container.status() == 0


def test_without_a_control_socket_the_verbs_say_so(site, contain):
    container = start(contain, site, **NOTHING_WRITABLE)
    assert container.lines.find("everything is kept in memory, and signals are the only control")
    result = container.execute(HOLDFAST, "reload")
    assert result.returncode == words.EXIT_NOT_RUNNING and len(result.stderr.splitlines()) == 1


def test_as_the_official_images_are_configured(make_site, contain):
    """No sd_notify, a port without an address, the environment passed on, everything logged to standard error."""
    site = make_site(str(net.free_port()), error_log=STDERR, pool_options={
        "clear_env": "no", "access.log": STDERR, "catch_workers_output": "yes", "decorate_workers_output": "no"})
    site.address = f"127.0.0.1:{site.address}"
    (site.root / "log.php").write_text("<?php error_log('said by a page'); echo getenv('SETTING'), getenv('NOTIFY_SOCKET');")
    container = start(contain, site, program=PHP_FPM_PLAIN, env={"SETTING": "kept"})
    load = site.load()
    reload(container, 2)
    load.assert_nothing_lost()
    assert site.get("/log.php") == (200, "kept")
    container.wait("said by a page")
    container.wait(r'"GET /log.php" 200')
    assert container.stop() == 0


# ---- signals ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT], ids=["TERM", "QUIT"])
def test_either_stop_signal_drains_after_the_delay(site, contain, number):
    container = start(contain, site, "--stop-delay=500ms")
    load = site.load()
    slow = site.start_slow()
    container.kill(number)
    container.wait("the service goes on for")
    load.assert_nothing_lost()
    assert slow.finish()[0] == 200
    assert container.status() == 0


ANY_SIGNAL = ["-e", "$| = 1; $SIG{$ARGV[0]} = sub { print qq(asked by $ARGV[0]\n); exit }; print qq(waits\n); sleep while 1"]


@pytest.mark.parametrize("name", ["SIGWINCH", "PWR", "RTMIN+3", "USR1"])
def test_any_stop_signal_of_an_image(site, contain, name):
    """As its STOPSIGNAL says; the service has one of its own."""
    site.pools[:] = []
    number = signal.SIGRTMIN + 3 if name == "RTMIN+3" else signal.Signals["SIG" + name.removeprefix("SIG")]
    perls = "NUM37" if name == "RTMIN+3" else name.removeprefix("SIG")
    container = contain(site, HOLDFAST, "run", f"--stop-signal={name}", f"--listen=127.0.0.1:{net.free_port()}", "--ready=log:waits",
                        "--", "perl", *ANY_SIGNAL, perls).start()
    assert container.stop(number) == 0
    assert container.lines.find(f"asked by {perls}")


def test_a_terminal_that_changes_its_size_stops_nothing(site, contain):
    """The kernel says that by WINCH, too."""
    site.pools[:] = []
    container = contain(site, HOLDFAST, "run", f"--listen=127.0.0.1:{net.free_port()}", "--ready=delay:0", "--", "sleep", "infinity",
                        terminal=True).start()
    assert container.execute("stty", "-F", "/proc/1/fd/0", "rows", "11", "cols", "44").returncode == 0
    reload(container, 2)
    assert container.stop(signal.SIGWINCH) == 0


def test_a_killed_master_is_replaced(site, contain):
    container = start(contain, site)
    load = site.load(slow_share=0)
    master = next(pid for pid in process.children(container.pid()) if "php-fpm: master" in process.command_line(pid))
    with Ended(master) as master:
        signal.pidfd_send_signal(master.fd, signal.SIGKILL)
        master.wait()
    container.wait(words.ready(2))
    load.assert_nothing_lost()
    assert container.stop() == 0


def test_on_a_terminal(site, contain):
    container = start(contain, site, terminal=True)
    reload(container, 2)
    assert site.get()[0] == 200
    assert container.stop(signal.SIGINT) == 0


# ---- whatever runs in it ----


def test_without_a_listener(site, contain):
    site.pools[:] = []
    container = contain(site, HOLDFAST, "run", "--listen=none", "--ready=delay:1ms", "--", "sleep", "infinity").start()
    container.kill(signal.SIGHUP)
    container.wait(words.gone(1))
    assert container.stop() == 0


def test_listen_pid_is_that_of_the_service(site, contain):
    """Of the one that listens, in the container's own numbers."""
    site.pools[:] = []
    container = contain(site, HOLDFAST, "run", f"--listen=127.0.0.1:{net.free_port()}", "--ready=log:listens", "--", "sh", "-c",
                        'echo "$LISTEN_PID $$ $LISTEN_FDS listens"; exec sleep infinity').start()
    pid, own, number = container.wait(r"^\d+ \d+ \d+ listens").split()[:3]
    assert pid == own != "1" and number == "1"
    assert container.stop() == 0


def test_orphans_are_reaped(site, contain):
    """10,000 children whose parents have ended."""
    site.pools[:] = []
    container = contain(site, HOLDFAST, "run", f"--name={site.name}", "--listen=none", "--ready=log:all left",
                        "--ready-timeout=5min", "--", "perl", "-MPOSIX=_exit", "-e", ORPHANS)
    container.launch()
    for number in range(1000, 10001, 1000):
        container.wait(f"{number} left")
    container.wait("generation 1 is ready")
    for _ in range(2):  # what waited when the first was answered is done before the second
        assert container.execute(HOLDFAST, "status").returncode == 0
    first = container.pid()
    states = [process.stat(pid) for pid in process.pids()]
    assert not [facts for facts in states if facts and facts[0] == "Z" and facts[1] == first]
    assert container.stop() == 0


def test_everything_in_it_is_waited_for(site, contain):
    """A process that belongs to no generation and takes its time to end."""
    site.pools[:] = []
    ending = f"trap 'sleep 0.3; touch {site.directory}/ended; exit' TERM; while :; do sleep 0.05; done"
    container = contain(site, HOLDFAST, "run", "--listen=none", "--ready=delay:50ms", "--", "sh", "-c",
                        f"sh -c \"{ending}\" & exec sleep infinity").start()
    assert container.stop() == 0
    assert (site.directory / "ended").exists()


# ---- the exit status ----


def test_every_exit_status(site, contain):
    """0 to 255, as the runtime sees them."""
    site.pools[:] = []
    seen = {}
    for status in range(256):
        container = contain(site, HOLDFAST, "run", "--listen=none", "--exit-with-service", "--ready=delay:0", "--", "sh", "-c", f"exit {status}")
        container.launch()
        seen[status] = container.status()
        container.close()
    assert seen == {status: status for status in range(256)}


TERMINATING = sorted(number for number in signal.valid_signals() if number not in (
    signal.SIGCHLD, signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGURG,
    signal.SIGWINCH))


def test_every_signal_that_ends_it(site, contain):
    """128 and its number."""
    site.pools[:] = []
    seen = {}
    for number in TERMINATING:
        container = contain(site, HOLDFAST, "run", "--listen=none", "--exit-with-service", "--ready=delay:0", "--", "sh", "-c",
                            f"ulimit -c 0; kill -{int(number)} $$; sleep 60")
        container.launch()
        seen[int(number)] = container.status()
        container.close()
    assert seen == {int(number): 128 + number for number in TERMINATING}
