# SPDX-License-Identifier: MIT
"""The control socket: busctl, misbehaving clients, and users without permission."""
import re
import resource
import shutil
import socket
import subprocess

import pytest

from harness import dbus, process, words
from harness.paths import HOLDFAST, SOURCE
from harness.process import environment
from harness.sleeper import sleeper
from harness.wait import DEADLINE, is_readable

CLIENTS = 64  # that are served at the same time


@pytest.fixture
def instance(site):
    return sleeper(site)


@pytest.fixture
def control(instance):
    return instance.runtime / "control"


def ask(control, *arguments):
    result = dbus.busctl(control, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_busctl_introspects(control):
    text = ask(control, "introspect", "org.holdfast", dbus.PATH)
    rows = {fields[0]: fields[1:] for line in text.splitlines() if (fields := line.split())}
    for method in (".Reload", ".Restart", ".Stop"):
        assert rows[method][:3] == ["method", "-", "-"]
    assert rows[".Event"][:2] == ["signal", "stsst"]
    assert rows[".Name"][0] == "property" and rows[".Name"][-1] == "const"
    assert rows[".State"] == ["property", "s", '"running"', "emits-change"]
    assert rows[".Generation"] == ["property", "t", "1", "emits-change"]


def test_the_manual_names_every_member(control):
    manual = (SOURCE / "man" / "holdfast-control.7.scd").read_text()
    shown = dbus.busctl(control, "introspect", "org.holdfast", dbus.PATH, dbus.INTERFACE).stdout
    members = [line.split() for line in shown.splitlines() if line.startswith(".")]
    assert len(members) > 15
    for name, kind, signature, result, *_ in members:
        assert f"*{name[1:]}*" in manual, name
        if kind == "property":
            assert f"*{name[1:]}* {signature}" in manual, name
        elif kind == "method" and result != "-":
            assert f"*{name[1:]}*() → {result}" in manual, name


def test_nothing_comes_before_the_first_answer(instance, control):
    """sd-bus ends a connection on which anything comes before the answer to its Hello."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(DEADLINE)
        caller.connect(str(control))
        caller.sendall(dbus.HELLO)
        assert caller.recv(4096).startswith(b"OK ")
        caller.sendall(b"BEGIN\r\n")
        instance.settle()
        instance.replace(2)
        instance.settle()
        assert not is_readable(caller.fileno())
        caller.sendall(dbus.call("ListListeners"))
        assert caller.recv(65536)[1] == 2  # METHOD_RETURN


def test_busctl_steers_and_reads(instance, control):
    ask(control, "call", "org.holdfast", dbus.PATH, dbus.INTERFACE, "Reload")
    properties = ask(control, "get-property", "org.holdfast", dbus.PATH, dbus.INTERFACE, "State", "Generation", "Name")
    assert properties.splitlines()[1:] == ["t 2", f's "{instance.site.name}"']
    generations = ask(control, "call", "org.holdfast", dbus.PATH, dbus.INTERFACE, "ListGenerations")
    assert ' 2 "active" "none" "reload" ' in generations
    listeners = ask(control, "call", "org.holdfast", dbus.PATH, dbus.INTERFACE, "ListListeners")
    assert f'"{instance.site.address}" "tcp" 0 ' in listeners
    assert '"ready" 2 "reload" "reload: generation 2 is active' in ask(
        control, "call", "org.holdfast", dbus.PATH, dbus.INTERFACE, "ListEvents")
    ask(control, "call", "org.holdfast", dbus.PATH, "org.freedesktop.DBus.Peer", "Ping")
    assert dbus.busctl(control, "call", "org.holdfast", dbus.PATH, dbus.INTERFACE, "Explode").returncode != 0


def test_a_listener_hears_events(instance, control):
    with dbus.Connection(control) as listener:
        instance.reload(2)
        heard = listener.read_until(b"generation 1 is gone")
        assert b"Event" in heard and b"reload: generation 2 is active" in heard
        assert b"PropertiesChanged" in heard


def test_a_path_that_is_no_utf8(make_site):
    site = make_site()
    instance = sleeper(site, listen=f"{site.directory}/\udcff.sock")
    result = instance.call("status", "--json")
    assert result.returncode == 0, result.stderr
    assert f"{site.directory}/?.sock" in result.stdout


def connect(control):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(control))
    return connection


def test_garbage_ends_only_its_own_connection(instance, control):
    for words_ in (b"GET / HTTP/1.0\r\n\r\n", b"\0AUTH ANONYMOUS\r\n", b"\0" * 70000):
        with connect(control) as client:
            try:
                client.sendall(words_)
            except BrokenPipeError:
                pass
    for message in (b"l\1\0\1" + b"\xff" * 12, b"x" * 64, dbus.call("Reload")[:40]):
        with dbus.Connection(control) as client:
            client.socket.sendall(message)
    assert instance.call("status").returncode == 0


def test_who_leaves_mid_call_is_not_waited_for(instance, control):
    with dbus.Connection(control) as client:
        client.socket.sendall(dbus.call("Reload"))
    instance.wait(words.reloaded(2))
    assert instance.call("reload").returncode == 0


def test_everything_at_once(instance, control):
    """As GDBus may send it: the handshake and messages arrive together."""
    with connect(control) as client:
        client.sendall(dbus.HELLO + b"BEGIN\r\n" + dbus.call("Reload", 1) + dbus.call("Stop", 2))
        assert instance.process.wait() == 0


def test_who_does_not_read_is_dropped(instance, control):
    with dbus.Connection(control) as client:
        message = b"".join(dbus.call("ListEvents", serial) for serial in range(1, 101))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                client.socket.sendall(message)
    assert instance.call("status").returncode == 0


def test_a_thousand_silent_clients(instance, control):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    clients = []
    try:
        clients = [connect(control) for _ in range(1000)]
        assert instance.call("status").returncode == 0
        sockets = [what for what in process.descriptors(instance.pid).values() if what.startswith("socket:")]
        assert len(sockets) <= CLIENTS + 10
        assert instance.call("reload").returncode == 0
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_listeners_make_room(instance, control):
    clients = [dbus.Connection(control) for _ in range(CLIENTS)]
    try:
        assert instance.call("status").returncode == 0
    finally:
        for client in clients:
            client.socket.close()


@pytest.mark.parametrize("verb", ["reload", "restart", "stop", "status", "history", "metrics"])
def test_another_user_may_not(instance, verb):
    program = instance.site.directory / "holdfast"
    shutil.copy(HOLDFAST, program)
    result = subprocess.run(["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", program, verb,
                             f"--name={instance.site.name}"], env=environment(XDG_RUNTIME_DIR="/nonexistent"),
                            capture_output=True, text=True, check=False)
    assert result.returncode == words.EXIT_NOT_PERMITTED
    assert re.search(r"may only be reached by root and the user it runs as", result.stderr)
    assert not result.stdout
