"""holdfast probe: one question, one exit status, one line."""
import contextlib
import socket

import pytest

from harness import net, words
from harness.holdfast import call
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
    assert_not_well(f"{served.address} is not well: it answered 404: Primary script unknown", served.address,
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
        assert_not_well(f"{address} is not well: no answer within 100 ms", address, "--fastcgi=/ping", "--timeout=100ms")


def test_usage():
    assert call("probe").returncode == words.EXIT_USAGE
    assert call("probe", "9000", "--fastcgi=ping").returncode == words.EXIT_USAGE
