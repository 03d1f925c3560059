# SPDX-License-Identifier: MIT
"""holdfast probe: one question, one exit status, one line."""
import contextlib
import select
import socket
import threading

import pytest

from harness import net, words
from harness.holdfast import call
from harness.paths import HELPERS
from harness.site import Site


@pytest.fixture(scope="module", params=["tcp", "unix"])
def served(request):
    """A site that is served, with a ping page and a script that fails."""
    site = Site(request.param, children=2, pool_options={"ping.path": "/ping"})
    (site.root / "well.php").write_text('<?php echo "well";')
    (site.root / "broken.php").write_text('<?php throw new Exception("out of cheese");')
    holdfast = site.holdfast()
    yield site
    holdfast.stop()
    site.close()


def assert_well(*arguments):
    result = call("probe", *arguments)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def assert_not_well(reason, *arguments):
    result = call("probe", *arguments)
    assert result.returncode == words.EXIT_FAILURE, result
    assert result.stdout == "" and result.stderr.count("\n") == 1
    assert reason in result.stderr, result.stderr


def test_what_is_well(served):
    assert_well(served.address)
    assert_well(served.address, "--fastcgi=/ping")
    assert_well(served.address, "--fastcgi=/well.php?x=1", f"--fastcgi-root={served.root}", "--timeout=20s")
    assert_well(f"--fastcgi={served.root}/well.php", served.address)


def test_what_is_not(served):
    assert_not_well(f"{served.address} is unhealthy: it answered 404: Primary script unknown", served.address,
                    "--fastcgi=/no.php", f"--fastcgi-root={served.root}")
    assert_not_well("out of cheese", served.address, f"--fastcgi={served.root}/broken.php")


def test_a_port_alone_is_here(make_site):
    site = make_site(f"127.0.0.1:{net.free_port()}", children=2, pool_options={"ping.path": "/ping"})
    holdfast = site.holdfast()
    port = site.address.rpartition(":")[2]
    assert_well(port, "--fastcgi=/ping")
    assert_well(f"localhost:{port}", "--fastcgi=/ping")
    holdfast.stop()


def test_nobody_is_there():
    assert_not_well("connection refused", f"127.0.0.1:{net.free_port()}")
    assert_not_well("there is no such socket", "/no/such/place.sock", "--fastcgi=/ping")


def test_somebody_who_does_not_answer():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = "%s:%d" % server.getsockname()
        assert_well(address)
        assert_not_well(f"{address} is unhealthy: no answer within 100 ms", address, "--fastcgi=/ping", "--timeout=100ms")


# ---- over HTTP ----


@pytest.fixture(params=["tcp", "unix"])
def web(site, request):
    """A server of HTTP, and the file that says what it answers."""
    address = f"127.0.0.1:{net.free_port()}" if request.param == "tcp" else str(site.directory / "web.sock")
    holdfast = site.holdfast(f"--listen={address}", "--ready=notify", f"--directory={site.directory}",
                             command=[HELPERS / "http_server.py"])
    yield address, site.directory / "health"
    holdfast.stop()


def test_a_page_over_http(web):
    address, health = web
    assert_well(address, "--probe=http:/healthz?deep=1")
    health.write_text("500 out of cheese")
    assert_not_well(f"{address} is unhealthy: it answered 500: out of cheese", address, "--probe=http:/healthz")
    assert_not_well("www.example.org yes", address, "--probe=http:/healthz", "--http-header=Host: www.example.org",
                    "--http-header=X-Probe: yes")
    for good in 200, 304, 399:
        health.write_text(f"{good} nothing new")
        assert_well("--probe=http:/healthz", address)
    for bad in 400, 404, 599:
        health.write_text(f"{bad} nothing good")
        assert_not_well(f"it answered {bad}: nothing good", address, "--probe=http:/healthz")
    health.write_text("302 elsewhere")  # where that is does not matter
    asked = health.with_name("asked")
    asked.touch()
    assert_well("--probe=http:/healthz", address)
    assert len(asked.read_text().splitlines()) == 1
    health.write_text("hang")
    assert_not_well("no answer within 100 ms", address, "--probe=http:/", "--timeout=100ms")


def test_the_wrong_protocol(web, served):
    assert_not_well("is unhealthy: ", web[0], "--probe=fastcgi:/ping", "--timeout=200ms")
    assert_not_well("is unhealthy: ", served.address, "--probe=http:/ping", "--timeout=200ms")
    assert_well(served.address, "--probe=fastcgi:/ping")
    assert_well(served.address, "--probe=tcp")


@pytest.mark.parametrize("answer, reason", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "the connection was closed in the middle of the answer"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "the answer is not HTTP"),
    (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 3_000_000, "the answer is too long"),
    (b"HTTP/1.1 200 " + b"x" * 10_000, "the answer is not HTTP"),
    (b"", "the connection was closed without an answer"),
    (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 20_000_000, "the answer is too long"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 4_000_000, "the answer is too long"),
    (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000_000, "the answer is "),
], ids=["cut", "lengths", "headers", "status", "nothing", "endless", "chunks", "header"])
def test_an_answer_that_is_no_good(answer, reason):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        def serve():
            connection, _ = server.accept()
            with connection, contextlib.suppress(ConnectionError):
                connection.recv(4096)
                connection.sendall(answer)
        thread = threading.Thread(target=serve)
        thread.start()
        assert_not_well(reason, "%s:%d" % server.getsockname(), "--probe=http:/", "--timeout=50s")
        thread.join()


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"])
def test_an_answer_that_comes_byte_by_byte(begun):
    """Each of them gives it no more time."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        def serve():
            connection, _ = server.accept()
            with connection, contextlib.suppress(ConnectionError):
                connection.recv(4096)
                connection.sendall(begun)
                while not select.select([connection], [], [], 0.01)[0]:
                    connection.sendall(b"x")
        thread = threading.Thread(target=serve)
        thread.start()
        assert_not_well("no answer within 300 ms", "%s:%d" % server.getsockname(), "--probe=http:/", "--timeout=300ms")
        thread.join()


def test_usage():
    assert call("probe").returncode == words.EXIT_USAGE
    assert call("probe", "9000", "--fastcgi=ping").returncode == words.EXIT_USAGE
