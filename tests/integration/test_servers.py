# SPDX-License-Identifier: MIT
"""Each server of examples/servers, run with the command of its section, is replaced under load and loses nothing."""
import re
import shlex
import shutil
import socket
import subprocess

import pytest

from harness import fastcgi, net, nginx, words
from harness.paths import ROOT
from harness.tools import Load
from harness.wait import DEADLINE, Ended

pytestmark = pytest.mark.load

EXAMPLES = ROOT / "examples" / "servers"
RELOADS = 10
ADDRESS = re.compile(r"127\.0\.0\.1:[89]000")
MISTAKE = "no_?[sS]uch"

# Its application, and what breaks it.
SERVERS = {
    "gunicorn": ("hello.py", "import no_such_module"),
    "uvicorn": ("hello_async.py", "import no_such_module"),
    "puma": ("hello.ru", "no_such_method"),
    "Node.js": ("hello.js", "noSuchFunction();"),
    "Plack, Starlet": ("hello.psgi", "no_such_function();"),
}


def command_of(section):
    """(options, command) of a section of the page."""
    text = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", (EXAMPLES / "README.md").read_text(), re.M | re.S)
    lines = re.search(r"^ {4}(holdfast run (?:.*\\\n)*.*)", text.group(1), re.M).group(1)
    listed = shlex.split(lines.replace("\\\n", " "))
    split = listed.index("--")
    assert listed[:2] == ["holdfast", "run"]
    return listed[2:split], listed[split + 1:]


class Server:
    """The examples in a directory of the site's, one of them running."""

    def __init__(self, site):
        site.pools[:] = []
        self.site = site
        self.directory = site.directory / "app"
        shutil.copytree(EXAMPLES, self.directory)
        site.address = self.address = f"127.0.0.1:{net.free_port()}"
        self.holdfast = None

    def start(self, section):
        options, command = command_of(section)
        self.run([ADDRESS.sub(self.address, option) for option in options], command)

    def run(self, options, command):
        self.holdfast = self.site.holdfast(f"--directory={self.directory}", *options, command=command)

    def behind_nginx(self, name, monkeypatch):
        """As the example NAME has it. Returns the URL."""
        text = re.sub(r"#.*", "", (EXAMPLES / name).read_text())
        text = text.replace("{", "{{").replace("}", "}}").replace("listen 80;", "listen {address};")
        text = ADDRESS.sub("{backend}", text)
        head, _, tail = nginx.CONFIGURATION.partition("    server {{")
        assert tail
        monkeypatch.setattr(nginx, "CONFIGURATION", f"{head}{text}}}}}\n")
        return self.site.url

    def break_application(self, name, mistake):
        """A reload says why it fails."""
        path = self.directory / name
        path.write_text(f"{mistake}\n{path.read_text()}")
        assert self.holdfast.call("reload").returncode == words.EXIT_FAILURE
        self.holdfast.wait(MISTAKE)

    def reload_under_load(self, url, **options):
        """Each time the old one is gone before the next reload."""
        load = Load(url, **{"path": "/", "slow_path": "/slow", **options})
        try:
            for number in range(2, RELOADS + 2):
                self.holdfast.replace(number)
        except AssertionError:
            load.abandon()
            raise
        load.assert_nothing_lost(at_least=RELOADS)
        served = {entry["body"].split()[1] for entry in load.stop()["ledger"]}
        assert len(served) > RELOADS, served


def ask(address):
    """What answers at HOST:PORT or at @ and an abstract name, in words."""
    if address.startswith("@"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(DEADLINE)
        connection.connect(f"\0{address[1:]}")
    else:
        connection = fastcgi.connect(address)
    with connection, connection.makefile() as stream:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        head, _, body = stream.read().partition("\n\n")
    assert " 200 OK" in head, head
    return body.split()


@pytest.fixture
def server(site):
    return Server(site)


@pytest.mark.parametrize("section", SERVERS)
def test_nothing_is_lost(server, section):
    server.start(section)
    server.reload_under_load(f"http://{server.address}")
    server.holdfast.stop()


@pytest.mark.parametrize("section", SERVERS)
def test_nothing_is_lost_behind_nginx(server, section, monkeypatch):
    """nginx keeps connections open that an old server closes."""
    server.start(section)
    server.reload_under_load(server.behind_nginx("nginx-http.conf", monkeypatch))
    server.holdfast.stop()


@pytest.mark.parametrize("section", SERVERS)
def test_a_broken_application_replaces_nothing(server, section):
    server.start(section)
    assert ask(server.address)[0] == "hello"
    server.break_application(*SERVERS[section])
    assert ask(server.address)[0] == "hello"
    server.holdfast.stop()


def test_uwsgi(server, monkeypatch):
    server.start("uWSGI")
    server.reload_under_load(server.behind_nginx("nginx-uwsgi.conf", monkeypatch))
    server.break_application("hello.py", "import no_such_module")
    assert server.site.get("/")[0] == 200
    server.holdfast.stop()


def test_php_cgi(server):
    server.start("php-cgi")
    server.reload_under_load(server.site.url, path="/hello.php", slow_path="/busy.php?ms=300")
    server.holdfast.stop()


def test_php_cgi_is_gone_when_its_children_are(server):
    server.start("php-cgi")
    slow = server.site.start_slow()
    with Ended(server.site.main_pid()) as main:
        server.holdfast.reload(2)
        main.wait()
    server.holdfast.settle()
    assert not server.holdfast.lines.find(words.gone(1))
    assert slow.finish()[0] == 200
    server.holdfast.wait(words.gone(1))
    server.holdfast.stop()


@pytest.fixture
def compiled(server):
    """The server in C; command, and its sockets that this machine can have: {name: address}."""
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libsystemd"], capture_output=True, text=True, check=True)
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-o", "hello", "hello.c", *flags.stdout.split()],
                   cwd=server.directory, check=True)
    options, server.command = command_of("C, and other programs that use libsystemd")
    port = server.address.rpartition(":")[2]
    text = " ".join(options).replace(":8000", f":{port}").replace("@hello", f"@{server.site.name}")
    assert text.endswith(" --ready=notify")
    server.sockets = {name: address for address, name in re.findall(r"--listen=(\S+),name=(\S+)", text)
                      if not address.startswith("[") or net.has_ipv6()}
    return server


def run_compiled(server, *names):
    server.run(["--ready=notify", *(f"--listen={server.sockets[name]},name={name}" for name in names)], server.command)


def test_sockets_with_names(compiled):
    """TCP, IPv6 and abstract, told apart by the program."""
    assert {"web", "local"} <= set(compiled.sockets)
    run_compiled(compiled, *compiled.sockets)
    pids = set()
    for number in (2, 3):
        for name, address in compiled.sockets.items():
            hello, pid, at = ask(address)
            assert (hello, at) == ("hello", name)
            pids.add(pid)
        compiled.holdfast.replace(number)
    assert len(pids) == 2
    compiled.holdfast.stop()


@pytest.mark.parametrize("name", ["web", pytest.param("web6", marks=pytest.mark.skipif(
    not net.has_ipv6(), reason="this machine has no IPv6"))])
def test_nothing_is_lost_by_c(compiled, name):
    run_compiled(compiled, name)
    compiled.reload_under_load(f"http://{compiled.sockets[name]}")
    compiled.holdfast.stop()
