# SPDX-License-Identifier: MIT
"""--config: a file instead of options, read again at each reload."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading

import pytest
import shlex

from harness import net, process, words
from harness.holdfast import call
from harness.paths import HELPERS, HOLDFAST, PYTHON, ROOT
from harness.wait import DEADLINE, Ended

# Leaves on TERM, not on the stop signal: an old generation stays for as long as the test wants.
PATIENT = ["/bin/sh", "-c", "'trap \"\" HUP; exec \"$0\" \"$1\"'", PYTHON,
           shlex.quote(str(HELPERS / "listen_fds_server.py"))]


class File:
    """A configuration file of a server that answers who it is."""

    def __init__(self, path):
        self.path = path
        self.lines = {"ready": ["notify"], "stop-signal": ["HUP"], "command": [" ".join(PATIENT)]}

    def write(self, **options):
        """Each option may be a list; None leaves it out."""
        for name, value in options.items():
            values = value if isinstance(value, list) else [] if value is None else [value]
            self.lines[name.replace("_", "-")] = values
        self.path.write_text("# of a test\n" + "".join(
            f"{name} = {value}\n" for name, values in self.lines.items() for value in values))


def ask(port):
    """What the server at the port says about itself."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection, connection.makefile() as stream:
        return json.loads(stream.readline())


class Callers(threading.Thread):
    """Calls one port again and again, until the end."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.done, self.failures = port, 0, []
        self._end = threading.Event()
        self._first = threading.Event()
        self.start()
        assert self._first.wait(DEADLINE)

    def run(self):
        while not self._end.is_set():
            try:
                ask(self.port)
                self.done += 1
            except (OSError, ValueError) as problem:
                self.failures.append(repr(problem))
            self._first.set()

    def assert_nothing_lost(self):
        self._end.set()
        self.join(DEADLINE)
        assert self.done > 0 and not self.failures, self.failures[:5]


@pytest.fixture
def file(site):
    """With one listener at port."""
    found = File(site.directory / "test.conf")
    found.port = net.free_port()
    found.write(listen=f"127.0.0.1:{found.port}", drain_timeout="1min")
    return found


@pytest.fixture
def holdfast(site, file):
    return site.holdfast(f"--config={file.path}", command=[])


def test_a_rollback_brings_the_settings_back(site, file):
    """Those of the generation that serves again; the file's settings return with the next start."""
    file.write(park="10min")
    holdfast = site.holdfast(f"--config={file.path}", command=[])
    first = ask(file.port)["pid"]
    file.write(log_level="warning")
    assert holdfast.call("reload").returncode == 0
    assert ask(file.port)["pid"] != first
    assert holdfast.call("rollback").returncode == 0
    holdfast.wait("rolled back: generation 1 serves again, with its settings")
    assert ask(file.port)["pid"] == first
    since = holdfast.mark()
    assert holdfast.call("reload").returncode == 0
    assert ask(file.port)["pid"] != first
    holdfast.wait("reload: changed log-level", since)
    assert "generation 3 is active" not in holdfast.lines.text(since)
    file.write(log_level=None)
    holdfast.reload(4)
    assert_stops(holdfast)


def end_generation(pid):
    with Ended(pid) as ended:
        signal.pidfd_send_signal(ended.fd, signal.SIGTERM)


def assert_stops(holdfast):
    """The second signal asks with TERM, which the server heeds."""
    holdfast.send(signal.SIGTERM)
    holdfast.wait("stopping")
    holdfast.stop()


def refused(port):
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.load
def test_listeners_come_and_go_under_load(file, holdfast):
    leaving, coming = net.free_port(), net.free_port()
    stays = f"127.0.0.1:{file.port}"
    file.write(listen=[stays, f"127.0.0.1:{leaving}"])
    first = ask(file.port)["pid"]
    holdfast.reload(2)
    end_generation(first)
    holdfast.wait(words.gone(1))

    callers = Callers(file.port)
    second = ask(leaving)["pid"]
    file.write(listen=[stays, f"127.0.0.1:{coming}"])
    holdfast.reload(3)
    holdfast.wait("reload: changed listen$", holdfast.mark() - 3)
    assert ask(coming)["name"] == f"127.0.0.1-{coming}"
    assert ask(leaving)["pid"] == second, "the generation that serves it is still there"
    end_generation(second)
    holdfast.wait(words.gone(2))
    holdfast.settle()
    assert refused(leaving) and not net.listening(leaving)
    assert ask(coming)["pid"] not in (first, second)
    callers.assert_nothing_lost()
    assert_stops(holdfast)


def test_what_the_next_generation_is_made_of_changes(file, holdfast):
    first = ask(file.port)["pid"]
    file.write(command=" ".join(PATIENT) + " second 'with blank'", environment=["APP_ENV=blue", "LANG=C"])
    holdfast.reload(2)
    holdfast.wait("reload: changed command, environment$")
    end_generation(first)
    holdfast.wait(words.gone(1))
    pid = ask(file.port)["pid"]
    environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert b"APP_ENV=blue" in environment and b"LANG=C" in environment
    assert len([entry for entry in environment if entry.startswith(b"LANG=")]) == 1
    assert_stops(holdfast)


def test_changed_limits_count_from_the_reload_on(file, holdfast):
    file.write(drain_timeout="100ms")
    holdfast.reload(2)
    holdfast.wait("reload: changed drain-timeout$")
    holdfast.wait("generation 1 is still there, it is sent SIGTERM")
    holdfast.wait(words.gone(1))
    assert_stops(holdfast)


def test_changed_ready_timeout_is_that_of_the_next_start(file, holdfast):
    file.write(ready_timeout="50ms", command="/bin/sleep infinity")
    result = holdfast.call("reload")
    assert result.returncode == words.EXIT_FAILURE
    assert "not ready after 50 ms" in result.stderr
    holdfast.wait(words.gone(2))
    file.write(ready_timeout="1min", command=" ".join(PATIENT))
    holdfast.reload(3)
    assert_stops(holdfast)


@pytest.mark.parametrize("damage, error", [
    (lambda path: path.write_text("listen = 80\n\ndrain-timout = 5s\n"),
     ':3: unknown option "drain-timout"; did you mean drain-timeout?'),
    (lambda path: path.write_bytes(b"listen\0"), ":1: there is a NUL in the line"),
    (os.unlink, " cannot be read: No such file or directory"),
    (lambda path: (path.unlink(), os.mkfifo(path)), " is not a regular file"),
], ids=["typo", "binary", "deleted", "fifo"])
def test_a_bad_file_leaves_the_old_generation_serving(file, holdfast, damage, error):
    first = ask(file.port)["pid"]
    damage(file.path)
    result = holdfast.call("reload")
    assert result.returncode == words.EXIT_FAILURE
    assert f"{file.path}{error}" in result.stderr
    assert "the old generation goes on serving" in holdfast.wait("reload failed: ")
    assert ask(file.port)["pid"] == first
    if not file.path.is_file():
        file.path.unlink(missing_ok=True)
    file.write()
    holdfast.reload(2)
    assert not holdfast.lines.find("changed")
    assert_stops(holdfast)


def test_a_bad_file_keeps_nobody_from_serving_after_a_crash(file, holdfast):
    file.path.write_text("quux\n")
    for number in (1, 2):
        pid = ask(file.port)["pid"]
        with Ended(pid) as ended:
            signal.pidfd_send_signal(ended.fd, signal.SIGKILL)
        holdfast.wait(words.ready(number + 1))
    holdfast.wait('test.conf:1: unknown option "quux".*; the service is started with the settings in force')
    assert ask(file.port)["name"]
    assert_stops(holdfast)


def test_what_cannot_change_says_so(file, site):
    file.write(name=site.name)
    holdfast = site.holdfast(f"--config={file.path}", command=[], named=False)
    file.write(name="other")
    for number in (2, 3):
        since = holdfast.mark()
        holdfast.reload(number)
        holdfast.wait("--name cannot change while holdfast runs, it stays", since)
    assert holdfast.call("reload").returncode == 0, "it is found by its old name"
    assert_stops(holdfast)


def test_the_log_changes_at_once(file, holdfast):
    file.write(log_format="json", name="other")
    holdfast.reload(2)
    holdfast.wait("reload: changed log-format$")
    holdfast.send(signal.SIGHUP)
    told = json.loads(holdfast.wait('"message":"reload: generation 3 is active'))
    assert told["name"] == holdfast.site.name
    assert not holdfast.lines.find("--name"), "the command line wins, so nothing has changed"
    assert_stops(holdfast)


@pytest.mark.parametrize("text, error", [
    ("drain-timout = 1s\n", ':1: unknown option "drain-timout"; did you mean drain-timeout?'),
    ("\n# x\nlisten = nowhere:x\n", ":3: listen: "),
    ("config = /etc/other.conf\n", ":1: config can only stand on the command line"),
    ("listen = 80\n", ": no COMMAND; "),
])
@pytest.mark.parametrize("verb", ["run", "check"])
def test_errors_at_the_start(tmp_path, verb, text, error):
    path = tmp_path / "x.conf"
    path.write_text(text)
    result = call(verb, f"--config={path}")
    assert result.returncode == words.EXIT_USAGE
    assert result.stderr.startswith(f"holdfast: {path}{error}"), result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_unreadable_file(tmp_path):
    tmp_path.chmod(0o755)
    path = tmp_path / "x.conf"
    path.write_text("listen = 80\n")
    path.chmod(0o600)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    result = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", HOLDFAST, "check", f"--config={path}", "x"],
                            env=process.environment(), capture_output=True, text=True, check=False)
    assert result.returncode == words.EXIT_FAILURE
    assert result.stderr == f"holdfast: {path} cannot be read: Permission denied\n"


def test_the_command_line_wins_whatever_the_order(tmp_path):
    port = net.free_port()
    path = tmp_path / "x.conf"
    path.write_text(f"listen = {port}\nhandoff = listen-fds\ncommand = /nowhere/at/all\n")
    for options in ([f"--config={path}", "--handoff=stdin"], ["--handoff=stdin", f"--config={path}"]):
        result = call("check", *options, "--", "/bin/cat")
        assert result.returncode == 0, result.stderr
        assert "Handoff: stdin" in result.stdout and f"  {port}  " in result.stdout
        assert "Service: /bin/cat" in result.stdout


def test_the_example_is_good():
    result = call("check", f"--config={ROOT / 'examples' / 'holdfast.conf'}")
    assert "php-fpm" in result.stdout
    assert (result.returncode, result.stderr) == (0, "")
