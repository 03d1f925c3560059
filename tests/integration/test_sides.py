# SPDX-License-Identifier: MIT
"""Two sides: the next generation starts on a second socket of each listener, then all new connections are switched at once."""
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import fastcgi, net, process, words
from harness.holdfast import call
from harness.manager import ManagedHoldfast
from harness.paths import HELPERS, HOLDFAST, PHP_CGI, PHP_FPM, PYTHON
from harness.process import Process, environment
from harness.versions import Versions, went_back
from harness.wait import DEADLINE

ROUNDS = 10
SERVER = [PYTHON, HELPERS / "listen_fds_server.py"]


def status(holdfast):
    return json.loads(holdfast.call("status", "--json").stdout)


def listeners(holdfast):
    return {listener["address"]: listener for listener in status(holdfast)["listeners"]}


def hidden(path):
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.2")


def connect(address, source=None):
    if address.startswith("/"):
        return fastcgi.connect(address)
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), DEADLINE, source and (source, 0))


def ask(address):
    with connect(address) as connection, connection.makefile() as stream:
        return json.loads(stream.read())


# ---- nothing is lost ----

@pytest.mark.load
@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_ten_reloads_under_load(make_site, listen):
    site = make_site(listen)
    holdfast = site.holdfast()
    assert status(holdfast)["handover"] == "switch"
    load = site.load()
    for number in range(2, ROUNDS + 2):
        holdfast.reload(number)
    for number in range(1, ROUNDS + 1):
        holdfast.wait(words.gone(number))
    load.assert_nothing_lost()
    # Who was about to connect to a path when it was switched may come late: connect(2) has looked it up before.
    assert status(holdfast)["late_connections"] == 0 or listen == "unix"
    holdfast.stop()
    if listen == "unix":
        assert not os.path.lexists(site.address) and not os.path.lexists(hidden(site.address))


def test_going_back_is_seen():
    assert went_back([(0, 1, "a"), (1, 2, "b"), (3, 4, "b")]) == []
    assert went_back([(0, 1, "a"), (1, 2, "b"), (1.5, 3, "a")]) == []
    assert went_back([(0, 1, "a"), (1, 2, "b"), (3, 4, "a")]) == [(3, "a")]


@pytest.mark.load
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_switch_is_atomic(make_site, kind):
    """After the first answer of the new version no request that starts later gets the old one."""
    site = make_site(kind)
    site.pools[:] = []
    holdfast = site.holdfast(f"--listen={site.address}", command=SERVER)
    versions = Versions(lambda: ask(site.address)["pid"])
    for number in range(2, 22):
        holdfast.reload(number)
    asked = versions.end()
    assert len({version for _, _, version in asked}) > 10 and not went_back(asked)
    holdfast.stop()


def count_sockets(address):
    """How many listen there, hidden ones beside a unix path too."""
    shown = subprocess.run(["ss", "-lnH", "-x" if address.startswith("/") else "-t"], env=environment(), check=True,
                           capture_output=True, text=True, errors="replace").stdout
    return len(re.findall(rf"{os.path.dirname(address)}\S*{os.path.basename(address)}", shown))


def freeze(site, pid):
    """It acts on no signal until the standard input of what is returned is closed."""
    held = Process([PYTHON, HELPERS / "freeze.py", pid], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None)
    site.at_close(held.stop)
    assert held.popen.stdout.readline() == b"frozen\n"
    return held


@pytest.mark.load
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_who_does_not_hear_that_it_is_to_leave(make_site, kind):
    """Its workers accept at their side until they are told. Reloads one after another wait for nobody, and go nowhere where
    anybody still accepts: no request that begins after the first answer of a newer version gets an older one."""
    site = make_site(kind, children=2)
    holdfast = site.holdfast("--warm=none")
    load = site.load(slow_share=0)
    frozen = {}
    for number in range(2, 6):
        master = site.main_pid()
        frozen[master] = freeze(site, master)  # it passes no signal on to its workers
        holdfast.reload(number)
        assert site.main_pid() not in frozen
    sockets = count_sockets(site.address)
    for held in frozen.values():
        held.popen.stdin.close()
    for number in range(1, 5):
        holdfast.wait(words.gone(number))
    assert sockets == 5
    for number in range(6, 9):
        holdfast.replace(number)
    assert count_sockets(site.address) == sockets  # they are used again
    results = load.stop()
    load.assert_nothing_lost()
    versions = [(entry["sent"], entry["at"] + entry["latency"], entry["body"].split()[1]) for entry in results["ledger"]]
    assert len({version for _, _, version in versions}) == 8 and not went_back(versions)
    holdfast.stop()
    if kind == "unix":
        assert not [name for name in os.listdir(os.path.dirname(site.address)) if os.path.basename(site.address) in name]


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_third_side_outlives_holdfast(make_site, kind):
    """Two generations still drain: whoever follows goes on with where connections go."""
    site = make_site(kind, children=2)
    holdfast = ManagedHoldfast(site, "--drain-timeout=60s")
    site.at_close(holdfast.close)
    holdfast.start()
    slow = []
    for number in 2, 3:
        slow.append(site.start_slow())
        holdfast.reload(number)
    master = site.main_pid()
    assert len({one["number"] for one in status(holdfast)["generations"]}) == 3
    upgraded = holdfast.call("upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    holdfast.process.stop(signal.SIGKILL)
    holdfast.start()
    assert site.main_pid() == master
    assert [answer.finish()[0] for answer in slow] == [200, 200]
    holdfast.replace(4)
    assert site.main_pid() != master
    holdfast.stop()


# ---- late connections ----

NETWORK = """ip link set lo up && ip tuntap add dev late mode tun && ip address add 10.99.0.1/24 dev late &&
ip link set late up && exec "$@" """


def test_a_late_connection_is_carried_over(site):
    """Its handshake began before the switch, and its last ACK comes after the old generation has left."""
    site.pools[:] = []
    port = net.free_port()
    holdfast = site.holdfast(f"--listen=10.99.0.1:{port}", command=SERVER,
                             wrapper=("unshare", "--net", "sh", "-c", NETWORK, "sh", HOLDFAST))
    client = Process(["nsenter", f"--target={holdfast.pid}", "--net", PYTHON, HELPERS / "late_client.py", "late",
                      "10.99.0.2", "10.99.0.1", port], env=environment(), stdin=subprocess.PIPE,
                     stdout=subprocess.PIPE, stderr=None)
    site.at_close(client.stop)
    lines = client.popen.stdout
    assert lines.readline() == b"half\n"
    began = time.monotonic()
    holdfast.reload(2)
    holdfast.wait(words.gone(1))
    assert 3 <= time.monotonic() - began < DEADLINE  # the handshake was waited for as long as may be
    client.popen.stdin.write(b"\n")
    client.popen.stdin.flush()
    answer = json.loads(lines.readline())
    assert answer["pid"] in process.children(holdfast.pid)
    holdfast.wait("1 connection waited at a side that nobody serves any more")
    facts = status(holdfast)
    assert facts["late_connections"] == 1
    assert re.search(r"holdfast_late_connections_total\{[^}]*\} 1\n", holdfast.call("metrics").stdout)
    holdfast.reload(3)
    holdfast.stop()


AT_ONCE = 128
BEYOND = 10


def wait_for_carried(holdfast, count):
    """Until the log has told of so many."""
    since = carried = 0
    while carried < count:
        line = holdfast.wait(r"(\d+) connections? waited at a side that nobody serves any more, and .* carried over", since)
        since = holdfast.lines.list.index(line, since) + 1
        carried += int(re.search(r"(\d+) connections? waited", line).group(1))
    assert carried == count


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_many_late_connections(make_site, kind):
    """So many are carried over at a time; the others wait, are shown to wait, and have their turn."""
    site = make_site(kind)
    site.pools[:] = []
    holdfast = site.holdfast(f"--listen={site.address}", command=SERVER)
    server, = process.children(holdfast.pid)
    os.kill(server, signal.SIGSTOP)
    late = hidden(site.address) if kind == "unix" else site.address
    connections = [connect(late, "127.0.0.2") for _ in range(AT_ONCE + BEYOND)]
    wait_for_carried(holdfast, AT_ONCE)
    listener, = status(holdfast)["listeners"]
    assert status(holdfast)["late_connections"] == AT_ONCE
    assert (listener["depth"], listener["standby_depth"]) == (AT_ONCE, BEYOND)
    assert f"\n{BEYOND} more wait at the other side of {site.address}\n" in holdfast.call("status").stdout
    metrics = holdfast.call("metrics").stdout
    for name, value in ("queue_depth", AT_ONCE), ("standby_queue_depth", BEYOND):
        assert re.search(rf"\nholdfast_{name}{{[^}}]*}} {value}\n", metrics), metrics
    os.kill(server, signal.SIGCONT)
    for connection in connections:
        with connection, connection.makefile() as stream:
            assert json.loads(stream.read())["pid"] == server
    wait_for_carried(holdfast, AT_ONCE + BEYOND)
    assert re.search(rf"\nholdfast_late_connections_total{{[^}}]*}} {AT_ONCE + BEYOND}\n", holdfast.call("metrics").stdout)
    holdfast.stop()


# ---- which listeners have two ----

def new_side(holdfast, ask_it, number):
    """After a reload another generation answers, and it was switched to."""
    before = ask_it()
    holdfast.replace(number)
    after = ask_it()
    assert before != after
    return after


@pytest.mark.parametrize("listens, reached", [
    ("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("[::1]", "::1"), ("[::]", "127.0.0.1"), ("[::]", "::1"),
    ("localhost", "localhost"),
])
def test_addresses(site, listens, reached):
    if ":" in listens + reached and not net.has_ipv6():
        pytest.skip("this machine has no IPv6")
    site.pools[:] = []
    port = net.free_port()
    holdfast = site.holdfast(f"--listen={listens}:{port}", "--handover=switch", command=SERVER)
    assert [listener["standby_limit"] for listener in status(holdfast)["listeners"]] != [None]
    for number in range(2, 6):
        new_side(holdfast, lambda: ask(f"{reached}:{port}")["pid"], number)
    holdfast.stop()
    assert not net.listening(port)


def test_several_listeners_of_which_one_is_new(site):
    """They go over together; what leaves the settings is free, and what is new is served at once."""
    site.pools[:] = []
    first, second, third = (f"127.0.0.1:{net.free_port()}" for _ in range(3))
    path = str(site.directory / "own.sock")
    config = site.directory / "holdfast.conf"
    config.write_text(f"listen={first}\nlisten={second}\nlisten={path}\n")
    holdfast = site.holdfast(f"--config={config}", command=SERVER)
    holdfast.replace(2)
    config.write_text(f"listen={first}\nlisten={path}\nlisten={third}\n")
    holdfast.replace(3)
    assert set(listeners(holdfast)) == {first, third, path}  # asked after the step that let the old one go
    assert {ask(address)["pid"] for address in (first, third, path)} == {ask(first)["pid"]}
    assert not net.listening(int(second.rpartition(":")[2]))
    holdfast.replace(4)
    assert {ask(address)["pid"] for address in (first, third, path)} == {ask(first)["pid"]}
    holdfast.stop()
    assert not os.path.lexists(path) and not os.path.lexists(hidden(path))


def test_an_abstract_name_has_one_side(site):
    site.pools[:] = []
    name = f"@{site.name}"
    holdfast = site.holdfast(f"--listen={name}", f"--listen={site.address}", command=SERVER)
    facts = status(holdfast)
    assert facts["handover"] == "at-once"
    reasons = {listener["address"]: listener["one_side"] for listener in facts["listeners"]}
    assert reasons == {name: "an abstract name cannot be bound twice", site.address: None}
    assert f"{name} has one side, an abstract name cannot be bound twice" in holdfast.call("status").stdout
    holdfast.replace(2)
    holdfast.stop()


def test_a_path_without_room_for_another_name(site):
    """Longer by three bytes than a socket's may be."""
    site.pools[:] = []
    path = str(site.directory / "s") + "o" * (105 - len(str(site.directory / "s")))
    reason = f"{path} has one side, its path leaves no room for a hidden name beside it"
    told = call("check", f"--listen={path}", "--", *SERVER)
    assert told.returncode == 0 and f"Handover: at-once; {reason}\n" in told.stdout
    holdfast = site.holdfast(f"--listen={path}", command=SERVER)
    assert reason in holdfast.call("status").stdout
    new_side(holdfast, lambda: ask(path)["pid"], 2)
    holdfast.stop()
    assert "Handover: switch\n" in call("check", f"--listen={path[:-2]}", "--", *SERVER).stdout


def test_check_names_the_handover(site):
    def told(*options, service=SERVER):
        result = call("check", *options, "--", *service)
        assert result.returncode == 0, result.stderr
        return re.search(r"Handover: (.*)\n", result.stdout).group(1)

    php_fpm = [PHP_FPM, "-y", site.configuration_path]
    address = f"--listen=127.0.0.1:{net.free_port()}"
    assert told(address) == told(service=php_fpm) == "switch"
    assert told("--handover=gentle", service=php_fpm) == "gentle"
    assert told("--handover=gentle", address) == told("--handover=at-once", service=php_fpm) == "at-once"
    assert told("--listen=@x", address) == "at-once; @x has one side, an abstract name cannot be bound twice"


def test_check_and_the_log_name_the_trial(make_site):
    """Where it is made, and that nothing is warmed where a reload does not switch."""
    site = make_site("unix")
    php_fpm = [PHP_FPM, "-y", site.configuration_path]
    told = call("check", "--canary=fastcgi:/ping", "--", *php_fpm).stdout
    assert "Canary: before each reload and restart the next generation is started on the standby side" in told
    assert "Warm-up: before each reload, on the standby side\n" in told
    assert "\n  [holdfast-warm-0]\n" in told
    gentle = call("check", "--handover=gentle", "--", *php_fpm).stdout
    assert "Warm-up: none, as a reload does not switch\n" in gentle and "holdfast-warm" not in gentle
    assert "Warm-up" not in call("check", "--warm=none", "--", *php_fpm).stdout
    holdfast = site.holdfast(wrapper=(PYTHON, "-c", BIND, site.address, HELPERS / "with_listen_fds.py", HOLDFAST))
    holdfast.reload(2)
    assert len(holdfast.lines.find("nothing is warmed before a reload, as it does not switch; `holdfast status` says why")) == 1
    assert f"{site.address} has one side, systemd has bound its path" in holdfast.call("status").stdout
    os.unlink(site.address)
    holdfast.stop()


def test_switch_insists(site):
    result = subprocess.run([HOLDFAST, "check", "--handover=switch", f"--listen=@{site.name}", "--", *SERVER],
                            env=environment(), capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "--handover=switch is not possible" in result.stdout
    result = subprocess.run([HOLDFAST, "run", f"--name={site.name}", "--handover=switch", f"--listen=@{site.name}", "--",
                             *SERVER], env=environment(), capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "--handover=switch needs a second socket for each listener" in result.stderr


@pytest.mark.parametrize("how", ["gentle", "at-once"])
def test_without_a_switch(site, how):
    holdfast = site.holdfast(f"--handover={how}")
    facts = status(holdfast)
    assert facts["handover"] == how and facts["listeners"][0]["standby_limit"] is None
    holdfast.replace(2)
    holdfast.stop()


BIND = """
import os, socket, sys
address, passer, *command = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX if address.startswith("/") else socket.AF_INET)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(address if address.startswith("/") else (address.rpartition(":")[0], int(address.rpartition(":")[2])))
listener.listen(99)
if address.startswith("/"):
    os.chmod(address, 0o666)
listener.set_inheritable(True)
os.execv(passer, [passer, str(listener.fileno()), "--", *command])
"""


@pytest.mark.parametrize("kind, reason", [("tcp", None), ("unix", "systemd has bound its path")])
def test_a_socket_of_systemds(make_site, kind, reason):
    """TCP gets a second socket, a unix path does not."""
    site = make_site(kind)
    site.pools[:] = []
    holdfast = site.holdfast(command=SERVER, wrapper=(PYTHON, "-c", BIND, site.address, HELPERS / "with_listen_fds.py",
                                                      HOLDFAST))
    facts = status(holdfast)["listeners"][0]
    assert (facts["standby_limit"] is None) == bool(reason) and facts["one_side"] == reason
    for number in range(2, 5):
        new_side(holdfast, lambda: ask(site.address)["pid"], number)
    if kind == "unix":
        os.unlink(site.address)
    holdfast.stop()


@pytest.mark.parametrize("address", ["127.0.0.1:80", "path"])
def test_a_socket_of_systemds_needs_no_capability_at_a_reload(make_site, address):
    """Nor does it at the start: what would bind it has been given up then."""
    site = make_site("unix")
    listen = site.address if address == "path" else address
    site.pools[0].listen = listen
    site.configure()
    holdfast = site.holdfast(wrapper=("unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh", PYTHON, "-c", BIND,
                                      listen, HELPERS / "with_listen_fds.py", HOLDFAST))
    for number in range(2, 4):
        holdfast.replace(number)
    holdfast.restart()
    if address == "path":
        os.unlink(site.address)
    site.pools[:] = []
    holdfast.stop()


OTHER_UID = "import os; os.seteuid(33)\n" + BIND.replace("listener.set_inheritable", "os.seteuid(0)\nlistener.set_inheritable")
ANOTHERS = "it is another user's socket, or other processes listen there as well"


@pytest.mark.load
@pytest.mark.parametrize("holder", ["root", "www-data"])
def test_a_tcp_socket_of_another_users(site, holder):
    """Nobody else can bind there: one side, shared by both generations, and nothing is lost."""
    address = site.address
    more = site.without_privilege() if holder == "www-data" else {"wrapper": (HOLDFAST,)}
    bind = BIND if holder == "www-data" else OTHER_UID
    own = more["wrapper"]
    more["wrapper"] = (PYTHON, "-c", bind, address, HELPERS / "with_listen_fds.py", *own)
    site.pools[0].options.update(dict.fromkeys(["user", "group"]) if holder == "www-data" else {})
    site.configure(error_log=site.marks / "fpm.log")
    holdfast = site.holdfast(**more)

    def run(*words):
        return subprocess.run([*map(str, words)], env=environment(**more.get("env", {})), capture_output=True, text=True, check=False)

    facts = json.loads(run(*own, "status", f"--name={site.name}", "--json").stdout)
    assert facts["handover"] == "gentle" and facts["listeners"][0]["one_side"] == ANOTHERS
    load = site.load()
    before = site.main_pid()
    holdfast.replace(2)
    assert site.main_pid() != before
    load.assert_nothing_lost()
    holdfast.stop()
    # By --handover=switch it says why not.
    result = run(*more["wrapper"], "run", f"--name={site.name}", "--handover=switch", "--", PHP_FPM, "-y", site.configuration_path)
    assert result.returncode != 0 and f"{address} has none: {ANOTHERS}" in result.stderr


# ---- both sides are alike ----

def test_rights_and_backlog_of_both(site):
    site.pools[:] = []
    path = str(site.directory / "own.sock")
    config = site.directory / "holdfast.conf"
    config.write_text(f"listen={path},mode=0600,owner=www-data,backlog=77\n")
    holdfast = site.holdfast(f"--config={config}", command=SERVER)

    def rights(where):
        facts = os.stat(where)
        return facts.st_mode & 0o777, facts.st_uid, facts.st_gid

    assert rights(path) == rights(hidden(path)) and rights(path)[0] == 0o600
    assert listeners(holdfast)[path]["limit"] == listeners(holdfast)[path]["standby_limit"] == 77
    config.write_text(f"listen={path},mode=0666,owner=www-data,backlog=99\n")
    holdfast.replace(2)
    assert rights(path) == rights(hidden(path)) and rights(path)[0] == 0o666
    assert listeners(holdfast)[path]["limit"] == listeners(holdfast)[path]["standby_limit"] == 99
    holdfast.stop()


def test_what_a_killed_instance_left(site):
    """Its hidden socket is replaced, too."""
    site.pools[:] = []
    path = str(site.directory / "own.sock")
    for where in (path, hidden(path)):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(where)
    holdfast = site.holdfast(f"--listen={path}", "--handover=switch", command=SERVER)
    holdfast.replace(2)
    holdfast.stop()
    assert os.listdir(site.directory).count(".own.sock.2") == 0


def test_a_hidden_name_that_somebody_removes(make_site):
    """What was to be switched to is ended, the old generation serves on, and the next reload binds another one."""
    site = make_site("unix")
    gate = site.directory / "gate"
    os.mkfifo(gate)
    holdfast = site.holdfast(f"--canary=exec:read line < {gate}", "--warm=none")
    before = site.main_pid()
    with subprocess.Popen([HOLDFAST, "reload", f"--name={site.name}"], env=environment(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as reload, open(gate, "w", encoding="utf-8") as opened:
        os.unlink(hidden(site.address))
        opened.write("go\n")
        opened.close()
        _, said = reload.communicate(timeout=DEADLINE)
    assert reload.returncode == 1
    assert f"the hidden socket was removed beside {site.address}, so it cannot be switched to" in said
    assert site.main_pid() == before
    holdfast.wait(words.gone(2))
    assert not os.path.lexists(hidden(site.address))
    with subprocess.Popen([HOLDFAST, "reload", f"--name={site.name}"], env=environment()) as reload:
        gate.write_text("go\n")
        assert reload.wait(DEADLINE) == 0
    assert site.main_pid() != before and os.path.lexists(hidden(site.address))
    holdfast.stop()


@pytest.mark.parametrize("handoff", ["server-starter", "stdin"])
def test_handoffs(site, handoff):
    site.pools[:] = []
    command = [PHP_CGI] if handoff == "stdin" else [PYTHON, "-S", "-c", STARTER]
    holdfast = site.holdfast(f"--listen={site.address}", f"--handoff={handoff}", "--ready=delay:100ms", command=command)
    assert status(holdfast)["handover"] == "switch"
    for number in range(2, 5):
        holdfast.replace(number)
        with connect(site.address):
            pass
    holdfast.stop()


STARTER = """
import os, signal, socket
listener = socket.socket(fileno=int(os.environ["SERVER_STARTER_PORT"].rpartition("=")[2]))
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
while True:
    listener.accept()[0].close()
"""


def test_without_privilege(site):
    """A holdfast that is not root's pairs its own sockets."""
    site.pools[:] = []
    path, address = str(site.directory / "user" / "own.sock"), f"127.0.0.1:{net.free_port()}"
    holdfast = site.holdfast(f"--listen={address}", f"--listen={path}", "--handover=switch", command=SERVER,
                             **site.without_privilege())
    for number in range(2, 5):
        new_side(holdfast, lambda: ask(address)["pid"], number)
        assert ask(path)["pid"] == ask(address)["pid"]
    holdfast.stop()
