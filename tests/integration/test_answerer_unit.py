# SPDX-License-Identifier: MIT
"""The helper process that answers in an outage, without a supervisor around it."""
import concurrent.futures
import contextlib
import fcntl
import http.client
import os
import pathlib
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import pytest

from harness import fastcgi, nginx
from harness.paths import HOLDFAST
from harness.process import Process, descriptors, environment
from harness.wait import DEADLINE, Ended, is_readable, readable

RETRY_AFTER = 7
LONG = 60_000_000  # usec
SHORT = 100_000
POST = 5 * 1000 * 1000


def listen(family=socket.AF_INET, path=None):
    listener = socket.socket(family)
    listener.bind(path or ("127.0.0.1", 0))
    listener.listen(4096)
    return listener


def address_of(listener):
    name = listener.getsockname()
    return name if isinstance(name, str) else f"{name[0]}:{name[1]}"


def lay_out(fds):
    """For a child before its exec: they at 3 and on."""
    parked = [fcntl.fcntl(listener, fcntl.F_DUPFD, 500) for listener in fds]
    for index, fd in enumerate(parked):
        os.dup2(fd, 3 + index)


def command(kinds, parent, connection, grace):
    return [HOLDFAST, "--answer", str(parent), str(RETRY_AFTER), str(connection), str(grace), kinds]


class Answerer:
    def __init__(self, listeners, kinds, connection=LONG, grace=LONG, parent=None):
        fds = [listener.fileno() for listener in listeners]
        numbers = range(3, 3 + len(fds))
        self.process = Process(command(kinds, parent or os.getpid(), connection, grace), env=environment(),
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=numbers,
                               preexec_fn=lambda: lay_out(fds))

    def stop(self):
        self.process.send(signal.SIGTERM)
        assert self.process.wait() == 0

    def close(self):
        self.process.stop(signal.SIGKILL)
        self.process.popen.stderr.close()


@pytest.fixture
def answerer():
    with contextlib.ExitStack() as stack:

        def start(*arguments, **options):
            one = Answerer(*arguments, **options)
            stack.callback(one.close)
            return one

        yield start


@pytest.fixture
def listener():
    with listen() as one:
        yield one


@pytest.fixture
def directory():
    path = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def make_nginx(directory):
    """nginx in front of a listener."""
    with contextlib.ExitStack() as stack:

        def make(backend, *directives):
            server = nginx.Nginx(directory, directory, ";\n".join([backend, *directives]))
            stack.callback(server.close)
            return server

        yield make


def ask(server, method="GET", body=None):
    """(status, header fields, body) through nginx."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    try:
        connection.request(method, "/index.php", body)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def read_all(connection):
    """Everything to the end of the connection."""
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return data


def begin(address):
    """A connection with the beginning of a request, which the answerer has seen: it has answered our question after it."""
    connection = fastcgi.connect(address)
    connection.sendall(struct.pack("!BBHHBx", 1, 9, 0, 0, 0)
                       + fastcgi.record(fastcgi.BEGIN_REQUEST, struct.pack("!HB5x", fastcgi.RESPONDER, 0)))
    assert connection.recv(8, socket.MSG_WAITALL) == struct.pack("!BBHHBx", 1, 10, 0, 0, 0)
    return connection


def finish(connection):
    connection.sendall(fastcgi.record(fastcgi.PARAMS))
    return read_all(connection)


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_nginx_answers_503(answerer, make_nginx, directory, family):
    path = str(directory / "x.sock")
    with listen() if family == "tcp" else listen(socket.AF_UNIX, path) as held:
        if family == "unix":
            os.chmod(path, 0o666)
        helper = answerer([held], "f")
        server = make_nginx(address_of(held))
        for _ in range(3):
            status, fields, body = ask(server)
            assert status == 503
            assert fields["Retry-After"] == str(RETRY_AFTER)
            assert fields["Content-Type"] == "text/html; charset=utf-8"
            assert fields["Cache-Control"] == "no-store"
            assert b"Service unavailable" in body
        helper.stop()


def test_large_posts_through_nginx(answerer, make_nginx, listener):
    """An unread body would reset the connection, and the answer would be lost."""
    answerer([listener], "f")
    server = make_nginx(address_of(listener), "client_max_body_size 8m")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ask(server, "POST", b"x" * POST)[0], range(40)))
    assert found == [503] * 40


def test_kept_connections_through_nginx(answerer, listener, make_nginx, monkeypatch):
    """An nginx that keeps its connections open notices that they end."""
    upstream = f"    upstream held {{{{ server {address_of(listener)}; keepalive 16; }}}}\n    server {{{{"
    text = nginx.CONFIGURATION.replace("fastcgi_keep_conn off", "fastcgi_keep_conn on").replace("    server {{", upstream, 1)
    monkeypatch.setattr(nginx, "CONFIGURATION", text)
    answerer([listener], "f")
    server = make_nginx("held")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: ask(server)[0], range(1000))) == [503] * 1000


def test_a_listener_that_is_not_fastcgi_is_closed(answerer, listener):
    """In an orderly way, even with input that nobody reads."""
    answerer([listener], "o")
    for _ in range(3):
        with fastcgi.connect(address_of(listener)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 100_000)
            assert connection.recv(1) == b""


def test_every_listener_is_served(answerer):
    kinds = "fofoffo" * 4
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(listen()) for _ in kinds]
        answerer(held, kinds)
        for one, kind in zip(held, kinds):
            if kind == "f":
                assert fastcgi.request(address_of(one), "/x")[0]["Status"].startswith("503")
            else:
                with fastcgi.connect(address_of(one)) as connection:
                    assert connection.recv(1) == b""


def test_sigterm_lets_the_listeners_go_and_finishes_the_rest(answerer, listener):
    helper = answerer([listener], "f")
    with begin(address_of(listener)) as accepted:
        inode = descriptors(os.getpid())[listener.fileno()]
        assert inode in descriptors(helper.process.pid).values()
        helper.process.send(signal.SIGTERM)
        # Its own answer to the next question shows that it has seen the signal.
        accepted.sendall(struct.pack("!BBHHBx", 1, 9, 0, 0, 0))
        accepted.recv(8, socket.MSG_WAITALL)
        accepted.sendall(struct.pack("!BBHHBx", 1, 9, 0, 0, 0))
        accepted.recv(8, socket.MSG_WAITALL)
        assert inode not in descriptors(helper.process.pid).values()
        with fastcgi.connect(address_of(listener)) as queued:
            assert b"503 Service Unavailable" in finish(accepted)
            accepted.close()
            assert helper.process.wait() == 0
            assert not is_readable(queued.fileno())
            assert is_readable(listener.fileno())


def test_what_does_not_finish_is_left(answerer, listener):
    helper = answerer([listener], "f", grace=SHORT)
    with begin(address_of(listener)) as accepted:
        helper.stop()
        assert accepted.recv(1) == b""


def test_death_of_the_supervisor(listener):
    """The process that started it is killed: it releases the listener and exits."""
    script = "import os, signal, subprocess, sys\n" \
             "child = subprocess.Popen([sys.argv[1], '--answer', str(os.getpid()), '1', *sys.argv[2:]], pass_fds=[3])\n" \
             "print(child.pid, flush=True)\n" \
             "signal.pause()\n"
    supervisor = Process(["/usr/bin/python3", "-c", script, HOLDFAST, LONG, LONG, "f"], env=environment(),
                         stdout=subprocess.PIPE, pass_fds=[3], preexec_fn=lambda: lay_out([listener.fileno()]))
    with supervisor.popen.stdout as output, Ended(int(output.readline())) as helper:
        try:
            assert fastcgi.request(address_of(listener), "/x")[0]["Status"].startswith("503")
            assert helper.alive()
        finally:
            supervisor.stop(signal.SIGKILL)
        helper.wait()
    os.waitpid(helper.pid, 0)


def test_a_supervisor_that_has_ended_already(answerer, listener):
    helper = answerer([listener], "f", parent=1)
    with fastcgi.connect(address_of(listener)) as queued:
        assert helper.process.wait() == 0
        assert not is_readable(queued.fileno())


def test_a_silent_client_is_closed_after_the_limit(answerer, listener):
    answerer([listener], "f", connection=SHORT)
    with fastcgi.connect(address_of(listener)) as silent, begin(address_of(listener)) as half:
        began = time.monotonic()
        assert silent.recv(1) == b""
        assert half.recv(1) == b""
        assert time.monotonic() - began < DEADLINE / 2
    assert fastcgi.request(address_of(listener), "/x")[0]["Status"].startswith("503")


def test_a_client_that_stays_after_its_answer_is_closed_after_the_limit(answerer, listener):
    """It goes on sending, which does not extend the limit."""
    answerer([listener], "f", connection=SHORT)
    with begin(address_of(listener)) as connection:
        assert b"503 Service Unavailable" in finish(connection)
        with pytest.raises(OSError):
            while True:
                connection.sendall(b"x" * 1000)


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\xa5", bytes(1000), b"\xff" * 100_000,
                                     b"\x01\x06\x00\x01\x00\x00\x00\x00", b"\x01\x63\0\0\0\0\0\0" * 1000])
def test_garbage(answerer, listener, garbage):
    answerer([listener], "f")
    with fastcgi.connect(address_of(listener)) as connection:
        try:
            connection.sendall(garbage)
            read_all(connection)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert fastcgi.request(address_of(listener), "/x")[0]["Status"].startswith("503")


def test_a_thousand_connections(answerer, listener):
    """More than it accepts at once: the others wait in the backlog for their turn."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        with contextlib.ExitStack() as stack:
            answerer([listener], "f")
            connections = [stack.enter_context(fastcgi.connect(address_of(listener))) for _ in range(1000)]
            for connection in connections:
                connection.sendall(fastcgi.record(fastcgi.BEGIN_REQUEST, struct.pack("!HB5x", fastcgi.RESPONDER, 0)))
            for connection in connections:
                assert b"503 Service Unavailable" in finish(connection)
                connection.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_three_at_one_listener(answerer, listener):
    """One that comes too late for a connection goes on, and can still be stopped."""
    helpers = [answerer([listener], "f") for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: fastcgi.request(address_of(listener), "/x")[0]["Status"][:3], range(2000)))
    assert found == ["503"] * 2000
    for helper in helpers:
        helper.stop()


def test_it_leaves_the_listener_blocking(answerer, listener):
    """The flag is shared with the service."""
    helper = answerer([listener], "f")
    fastcgi.request(address_of(listener), "/x")
    assert not fcntl.fcntl(listener, fcntl.F_GETFL) & os.O_NONBLOCK
    helper.stop()


# ---- what they may do ----

def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)


def assert_confined(pid, capabilities=0):
    """It is the user nobody, for good, with nothing but its open descriptors."""
    fields = {name: value.split() for name, value in status_of(pid).items()}
    assert fields["Uid"] == fields["Gid"] == ["65534"] * 4 and not fields["Groups"]
    assert {name: int(fields[name][0], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {
        "CapInh": 0, "CapPrm": capabilities, "CapEff": capabilities, "CapBnd": 0, "CapAmb": 0}
    assert fields["NoNewPrivs"] == ["1"] and fields["Seccomp"] == ["2"]


def test_the_answerer_is_nobody(answerer, listener):
    helper = answerer([listener], "f")
    assert fastcgi.request(address_of(listener), "/x")[0]["Status"].startswith("503")
    assert_confined(helper.process.pid)
    helper.stop()


@contextlib.contextmanager
def carrier(listener, current, counting):
    """The helper that carries connections from one to the other; it notes each in the pipe."""
    fds = [listener.fileno(), counting]
    process = Process([HOLDFAST, "--answer", "carry", os.getpid(), address_of(current)], env=environment(),
                      stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=[3, 4], preexec_fn=lambda: lay_out(fds))
    try:
        yield process
        process.send(signal.SIGTERM)
        assert process.wait() == 0
    finally:
        process.popen.stderr.close()
        process.stop(signal.SIGKILL)


def carry(listener, current, meanwhile):
    """A question and its answer."""
    current.settimeout(DEADLINE)
    with fastcgi.connect(address_of(listener)) as late:
        late.sendall(b"question")
        with current.accept()[0] as carried:
            carried.settimeout(DEADLINE)
            assert carried.recv(100) == b"question"
            meanwhile()
            carried.sendall(b"answer")
        late.settimeout(DEADLINE)
        assert read_all(late) == b"answer"


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_the_carrier_is_nobody(listener, directory, family):
    """It may connect to another user's socket, and nothing else."""
    path = directory / "x.sock"
    reading, writing = os.pipe()
    with (os.fdopen(reading, "rb", 0) as noted, os.fdopen(writing, "wb"),
          listen() if family == "tcp" else listen(socket.AF_UNIX, str(path)) as current):
        if family == "unix":
            path.chmod(0o600)
        with carrier(listener, current, writing) as process:
            carry(listener, current, lambda: assert_confined(process.pid, 2 if family == "unix" else 0))  # CAP_DAC_OVERRIDE
        assert noted.read(100) == b"\0"


def test_a_carrier_whose_notes_nobody_reads(listener):
    """As when it accepts one more connection after it was asked to stop."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb"), listen() as current, carrier(listener, current, writing):
        carry(listener, current, lambda: None)


@pytest.mark.parametrize("words", [[], ["1"], ["x", "1", "1", "1", "f"], ["1", "1", "1", "1", "z"], ["1", "1", "1", "1", ""],
                                   ["1", "1", "1", "1", "f" * 2000], ["1", "1", "1", "1", "f", "more"]])
def test_it_is_nobodys_command(words):
    result = subprocess.run([HOLDFAST, "--answer", *words], env=environment(), capture_output=True, text=True, check=False,
                            timeout=DEADLINE)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
