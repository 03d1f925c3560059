# SPDX-License-Identifier: MIT
"""Every kind of address, and what a pool says about its socket."""
import contextlib
import grp
import os
import pathlib
import pwd
import re
import signal
import socket
import stat
import subprocess

import pytest
import shlex

from harness import fastcgi, net, process, words
from harness.holdfast import Holdfast, call
from harness.lines import Lines
from harness.paths import HELPERS, HOLDFAST, PYTHON
from harness.phpfpm import Pool
from harness.process import Process, environment
from harness.sleeper import COMMAND, sleeper
from harness.wait import DEADLINE, Ended

SOMAXCONN = int(pathlib.Path("/proc/sys/net/core/somaxconn").read_text())
needs_ipv6 = pytest.mark.skipif(not net.has_ipv6(), reason="this machine has no IPv6")


def serve(make_site, listen, **options):
    site = make_site(pools=[Pool(listen, children=2, options=options)])
    return site, site.holdfast()


def hello(site, address):
    return fastcgi.request(address, str(site.root / "hello.php"))[1]


@pytest.mark.parametrize("listen, connect", [
    ("127.0.0.1:{}", "127.0.0.1:{}"),
    ("0.0.0.0:{}", "127.0.0.1:{}"),
    pytest.param("[::1]:{}", "[::1]:{}", marks=needs_ipv6),
    pytest.param("[::]:{}", "[::1]:{}", marks=needs_ipv6),
    ("localhost:{}", "localhost:{}"),
    ("{}", "127.0.0.1:{}"),
    pytest.param("{}", "[::1]:{}", marks=needs_ipv6),
])
def test_tcp(make_site, listen, connect):
    port = net.free_port()
    site, holdfast = serve(make_site, listen.format(port))
    before = hello(site, connect.format(port))
    assert before.startswith("hello ")
    holdfast.replace(2)
    after = hello(site, connect.format(port))
    assert after.startswith("hello ") and after.split()[1] != before.split()[1]
    holdfast.stop()


def test_tcp_backlog(make_site):
    port = net.free_port()
    _, holdfast = serve(make_site, f"127.0.0.1:{port}", **{"listen.backlog": 77})
    holdfast.settle()
    assert net.backlog(f"127.0.0.1:{port}") == 77


def test_default_backlog_is_the_largest(make_site):
    port = net.free_port()
    serve(make_site, f"127.0.0.1:{port}")
    assert net.backlog(f"127.0.0.1:{port}") == SOMAXCONN


def test_unix_mode_owner_group_backlog(make_site):
    site = make_site("unix", children=2, pool_options={
        "listen.owner": "www-data", "listen.group": "adm", "listen.mode": "0640", "listen.backlog": "88"})
    holdfast = site.holdfast()

    def assert_as_the_pool_says():
        holdfast.settle()
        status = os.stat(site.address)
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o640
        assert pwd.getpwuid(status.st_uid).pw_name == "www-data"
        assert grp.getgrgid(status.st_gid).gr_name == "adm"
        assert net.backlog(site.address) == 88

    assert_as_the_pool_says()
    holdfast.restart()
    assert_as_the_pool_says()
    holdfast.stop()


def test_unix_default_mode_and_group_of_the_owner(make_site):
    site = make_site("unix", children=2, pool_options={"listen.owner": "www-data", "listen.group": None})
    site.holdfast()
    status = os.stat(site.address)
    assert stat.S_IMODE(status.st_mode) == 0o660
    assert pwd.getpwuid(status.st_uid).pw_name == "www-data"
    assert status.st_gid == pwd.getpwnam("www-data").pw_gid


def test_unix_acl(make_site):
    site = make_site("unix", children=2, pool_options={
        "listen.owner": "www-data", "listen.acl_users": "www-data,games", "listen.acl_groups": "adm"})
    site.holdfast()
    shown = subprocess.run(["getfacl", "-cp", site.address], env=process.environment(), check=True,
                           capture_output=True, text=True).stdout.split()
    for entry in ("user:www-data:rw-", "user:games:rw-", "group:adm:rw-"):
        assert entry in shown
    directory, name = os.path.split(site.address)
    assert shown == subprocess.run(["getfacl", "-cp", f"{directory}/.{name}.2"], env=process.environment(), check=True,
                                   capture_output=True, text=True).stdout.split()  # the other side
    # With an ACL, owner and group are php-fpm's to ignore.
    assert os.stat(site.address).st_uid == 0
    assert site.get()[0] == 200


def test_many_pools_of_every_kind(make_site):
    ports = [net.free_port() for _ in range(2)]
    site = make_site(pools=[Pool(f"127.0.0.1:{ports[0]}", name="one", children=1),
                            Pool(f"127.0.0.1:{ports[1]}", name="two", children=1)])
    site.pools += [Pool(str(site.directory / f"{name}.sock"), name=name, children=1) for name in ("three", "four")]
    site.configure()
    holdfast = site.holdfast()
    for _ in range(2):
        assert all(hello(site, pool.listen).startswith("hello ") for pool in site.pools)
        holdfast.restart()
    holdfast.stop()


def test_status_listen(make_site):
    port = net.free_port()
    site = make_site(children=1, pool_options={"pm.status_listen": f"127.0.0.1:{port}", "pm.status_path": "/status"})
    holdfast = site.holdfast()
    slow = site.start_slow(ms=800)

    def status():
        return fastcgi.request(f"127.0.0.1:{port}", "/status")[1]

    # The only worker is busy; this socket answers nevertheless.
    assert "active processes:     1" in status()
    assert slow.get()[0] == 200
    holdfast.replace(2)
    assert "pool:                 www" in status()
    holdfast.restart()
    assert "pool:                 www" in status()
    holdfast.stop()
    assert not net.listening(port)


def test_status_listen_on_a_path(make_site):
    site = make_site(children=1, pool_options={"pm.status_path": "/status"})
    path = site.directory / "status.sock"
    site.pools[0].options["pm.status_listen"] = path
    site.configure()
    holdfast = site.holdfast()
    for number in (2, 3):
        assert "pool:                 www" in fastcgi.request(str(path), "/status")[1]
        holdfast.replace(number)
    holdfast.stop()


# ---- name services that do not answer ----

# Runs "$@" with a resolver of its own, and with hosts of its own.
ALONE = 'mount --bind "$RESOLVER" /etc/resolv.conf && mount --bind "$HOSTS" /etc/hosts && exec "$@"'


class SilentResolver:
    """A name server that takes questions and never answers, and a table of hosts."""

    def __init__(self, directory):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        address = f"127.53.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"  # one for each worker
        self.socket.bind((address, 53))
        self.socket.settimeout(DEADLINE)
        resolver, self.hosts = directory / "resolv.conf", directory / "hosts"
        resolver.write_text(f"nameserver {address}\noptions timeout:30 attempts:1\n")
        self.hosts.write_text("127.0.0.1 localhost held.example\n")
        self.wrapper = {"wrapper": ("unshare", "-m", "sh", "-c", ALONE, "sh", HOLDFAST),
                        "env": {"RESOLVER": str(resolver), "HOSTS": str(self.hosts)}}

    def asked(self):
        """Waits until somebody asks."""
        return self.socket.recv(512)

    def forget(self):
        """In place: it is mounted."""
        with open(self.hosts, "r+", encoding="ascii") as file:
            file.truncate()


@pytest.fixture
def silent(site):
    resolver = SilentResolver(site.directory)
    with contextlib.closing(resolver.socket):
        yield resolver


@pytest.fixture
def named(site, silent):
    """A server at a host that is known, and its configuration."""
    configuration = site.directory / "holdfast.conf"
    configuration.write_text(f"listen = held.example:{net.free_port()}\n")
    holdfast = site.holdfast(f"--config={configuration}", "--ready=notify", "--ready-timeout=2s",
                             command=[HELPERS / "http_server.py"], **silent.wrapper)
    yield holdfast, configuration
    holdfast.stop()


def test_a_resolver_that_is_silent_stalls_nothing_but_the_reload(named, silent):
    holdfast, configuration = named
    configuration.write_text(configuration.read_text() + f"listen = hangs.example:{net.free_port()}\n")
    reload = process.Process([HOLDFAST, "reload", f"--name={holdfast.site.name}"], env=process.environment(),
                             stderr=subprocess.PIPE)
    silent.asked()
    status = holdfast.call("status")
    assert status.returncode == 0 and "generation 1" in status.stdout.lower(), status
    assert reload.running()
    assert reload.wait() == words.EXIT_FAILURE
    failed = reload.popen.stderr.read().decode()
    assert "hangs.example" in failed and "the name server does not answer, so the host's address is not known" in failed, failed


def test_a_host_that_is_held_is_not_asked_for_again(named, silent):
    holdfast, _ = named
    silent.forget()
    silent.socket.setblocking(False)
    assert holdfast.call("reload").returncode == 0
    with pytest.raises(BlockingIOError):
        silent.asked()


def test_a_stop_does_not_wait_for_the_resolver(site, silent):
    holdfast = Holdfast(site, [f"--listen=hangs.example:{net.free_port()}", "--ready-timeout=1h"],
                        [HELPERS / "http_server.py"], **silent.wrapper)
    holdfast.launch()
    silent.asked()
    children = process.children(holdfast.pid)
    assert len(children) == 1
    with Ended(children[0]) as child:
        holdfast.stop()
        child.wait()


def test_the_child_that_asks_ends_with_holdfast(site, silent):
    """And it keeps neither a listener nor the lock open."""
    holdfast = Holdfast(site, [f"--listen=hangs.example:{net.free_port()}", "--ready-timeout=1h"],
                        [HELPERS / "http_server.py"], **silent.wrapper)
    holdfast.launch()
    silent.asked()
    child, = process.children(holdfast.pid)
    assert not [what for what in process.descriptors(child).values() if "lock" in what or "notify" in what]
    with Ended(child) as ended:
        holdfast.send(signal.SIGKILL)
        ended.wait()
    holdfast.process.wait()
def free_to_listen(address):
    """As the next server of that address would listen there."""
    if address.startswith("/"):
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(address)
            other.listen()
        os.unlink(address)
        return
    host, _, port = address.rpartition(":")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((host, int(port)))
        other.listen()


@pytest.mark.parametrize("handover", ["gentle", "at-once"])
def test_an_address_that_left_the_settings_is_free_when_the_reload_returns(make_site, handover):
    """Even though a worker with a copy of the socket finishes a request; and no worker is started again and again because
    nobody listens there any more."""
    tcp, stays = (f"127.0.0.1:{net.free_port()}" for _ in range(2))
    site = make_site(pools=[Pool(tcp, children=4), Pool(stays, name="stays", children=2)])
    path = str(site.directory / "gone.sock")
    site.pools.append(Pool(path, name="path", children=2))
    site.configure(process_control_timeout="60s")
    holdfast = site.holdfast(f"--handover={handover}")
    slow = site.start_slow()
    removed = [pool for pool in site.pools if pool.listen != stays]
    site.pools[:] = [pool for pool in site.pools if pool.listen == stays]
    site.configure()
    assert holdfast.call("reload").returncode == 0
    for pool in removed:
        free_to_listen(pool.listen)
    holdfast.wait(words.ready(2))
    assert site.error_log.read_text().count(" started") <= 4  # this is how a child is logged that took another's place
    assert not holdfast.lines.find(words.gone(1))
    # what comes back while the old generation is there is bound anew
    site.pools[:0] = removed
    site.configure()
    assert holdfast.call("reload").returncode == 0
    for pool in site.pools:
        assert fastcgi.request(pool.listen, str(site.root / "hello.php"))[1].startswith("hello ")
    assert slow.finish()[0] == 200
    holdfast.wait(words.gone(1))
    holdfast.stop()


# Goes on accepting while it leaves, until the last connection has ended; a failed accept(2) tells it nothing.
STUBBORN = """
import os, selectors, signal, socket
poll, leaving, clients = selectors.DefaultSelector(), [], []
signal.signal(signal.SIGTERM, lambda *_: leaving.append(1))
for fd in range(3, 3 + int(os.environ["LISTEN_FDS"])):
    poll.register(socket.socket(fileno=fd), selectors.EVENT_READ)
wake, woken = socket.socketpair()
for end in (wake, woken):
    end.setblocking(False)
signal.set_wakeup_fd(woken.fileno())
poll.register(wake, selectors.EVENT_READ)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while not leaving or clients:
    for key, _ in poll.select():
        one = key.fileobj
        if one in clients:
            if one.recv(64):
                one.sendall(b"%d" % os.getpid())
            poll.unregister(one)
            clients.remove(one)
            one.close()
        elif one is not wake:
            try:
                client = one.accept()[0]
            except OSError:
                poll.unregister(one)
                continue
            clients.append(client)
            poll.register(client, selectors.EVENT_READ)
        else:
            wake.recv(64)
"""


def ask(connection):
    connection.settimeout(DEADLINE)
    connection.sendall(b"?")
    return int(connection.recv(64))


@pytest.mark.parametrize("handover", ["auto", "gentle"])
def test_an_address_that_left_the_settings_of_another_server_is_free_when_the_reload_returns(site, handover):
    """It finishes what it has accepted, with its copies of the sockets open."""
    tcp, stays, path = f"127.0.0.1:{net.free_port()}", f"127.0.0.1:{net.free_port()}", str(site.directory / "gone.sock")
    site.pools.clear()
    configuration = site.directory / "holdfast.conf"
    configuration.write_text(f"listen = {stays}\nlisten = {tcp}\nlisten = {path}\n")
    holdfast = site.holdfast(f"--config={configuration}", "--ready=notify", f"--handover={handover}",
                             command=[PYTHON, "-c", STUBBORN])
    with fastcgi.connect(tcp) as over_tcp, fastcgi.connect(path) as over_path:
        configuration.write_text(f"listen = {stays}\n")
        result = holdfast.call("reload")
        assert result.returncode == 0, result.stderr
        for address in (tcp, path):
            free_to_listen(address)
        assert not holdfast.lines.find(words.gone(1))
        before = ask(over_tcp)
        assert ask(over_path) == before
    with fastcgi.connect(stays) as connection:
        assert ask(connection) != before
    holdfast.wait(words.gone(1))
    holdfast.stop()


def test_an_abstract_name(site):
    """Held over a reload, passed or bound, and named in messages; one side, as it cannot be bound twice."""
    def asked():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect("\0" + site.name)
            return ask(connection)

    site.pools.clear()
    name = f"@{site.name}"
    holdfast = site.holdfast(f"--listen={name}", "--ready=notify", command=[PYTHON, "-c", STUBBORN])
    first = asked()
    holdfast.replace(2)
    assert asked() != first
    other = call("run", f"--name={site.name}-2", f"--listen={name}", "--", *COMMAND)
    assert other.returncode == words.EXIT_FAILURE
    assert f"{name} is in use by holdfast, instance {site.name} (pid {holdfast.pid}" in other.stderr
    holdfast.stop()
    told = call("check", f"--listen={name}", "--", *COMMAND).stdout
    assert "an abstract name cannot be bound twice" in told, told
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind("\0" + site.name)
        passed.listen()
        instance = Process([PYTHON, HELPERS / "with_listen_fds.py", f"web={passed.fileno()}", "--", HOLDFAST, "run",
                            f"--name={site.name}", "--ready=notify", "--", PYTHON, "-c", STUBBORN],
                           pass_fds=[passed.fileno()], env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            Lines(instance.popen.stderr).wait(words.ready(1))
            assert asked()
            assert call("reload", f"--name={site.name}").returncode == 0
            assert name in call("status", f"--name={site.name}").stdout
            assert asked()
        finally:
            assert instance.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_an_address_moves_from_one_instance_to_another(make_site, kind):
    """As a panel moves a site to another version of PHP: remove it here, add it there, reload both."""
    listen, first_own, second_own = (f"127.0.0.1:{net.free_port()}" for _ in range(3))
    second = make_site(pools=[Pool(second_own, name="own", children=1)])
    if kind == "unix":
        listen = str(second.directory / "moves.sock")
        second.pools[0].listen = str(second.directory / "own.sock")  # what a path needs is kept from the start
        second.configure()
    first = make_site(pools=[Pool(listen, children=2), Pool(first_own, name="own", children=1)])
    holder, taker = first.holdfast(), second.holdfast()
    second.pools.append(Pool(listen, children=2))
    second.configure()
    result = taker.call("reload")
    assert result.returncode == words.EXIT_FAILURE
    assert re.search(rf"{listen} is in use by holdfast\S*, instance {first.name} \(pid {holder.pid}, since .*\); remove "
                     rf"it from that instance's settings and run \"holdfast reload --name={first.name}\", or ", result.stderr)
    del first.pools[0]
    first.configure()
    for instance in (holder, taker):
        result = instance.call("reload")
        assert result.returncode == 0, result.stderr
    assert fastcgi.request(listen, str(second.root / "hello.php"))[1].startswith("hello ")
    holder.stop()
    assert fastcgi.request(listen, str(second.root / "hello.php"))[1].startswith("hello ")
    taker.stop()


@pytest.mark.load
@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("handover", ["auto", "gentle"])
def test_an_address_moves_without_a_gap(make_site, kind, handover):
    """One instance takes it over, then the other leaves it out; and back again."""
    first = make_site(kind, children=4)
    listen = first.pools[0].listen
    second = make_site(kind, children=1)
    own = Pool(str(first.directory / "own.sock"), name="own", children=1)
    first.pools.append(own)
    first.configure()
    holder, taker = first.holdfast(f"--handover={handover}"), second.holdfast(f"--handover={handover}")
    load = first.load()
    moving = first.pools[0]
    for one, other, here, there in ((taker, holder, second, first), (holder, taker, first, second)):
        here.pools.append(moving)
        here.configure()
        result = one.call("reload", "--take-over")
        assert result.returncode == 0, result.stderr
        if one is taker:
            one.wait(rf"{listen} is taken over from another holdfast \(pid {other.pid}\)")
        assert other.call("restart").returncode == 0  # keeps it, and its hands off it
        there.pools.remove(moving)
        there.configure()
        result = other.call("reload")
        assert result.returncode == 0, result.stderr
        assert fastcgi.request(listen, str(here.root / "hello.php"))[1].startswith("hello ")
    load.assert_nothing_lost(50)
    taker.stop()
    assert fastcgi.request(listen, str(first.root / "hello.php"))[1].startswith("hello ")
    holder.stop()


@pytest.mark.load
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_whole_instance_moves_without_a_gap(make_site, kind):
    """The new one shares the addresses from its start on, the old one is stopped."""
    first, second = make_site(kind, children=4), make_site(children=1)
    second.pools[:] = first.pools
    second.configure()
    holder = first.holdfast()
    load = first.load()
    taker = second.holdfast("--take-over")
    holder.call("stop")
    assert holder.process.wait() == 0
    taker.replace(2)
    load.assert_nothing_lost(50)
    assert fastcgi.request(first.address, str(first.root / "hello.php"))[1].startswith("hello ")
    taker.stop()


# ---- two names for one address ----

@pytest.fixture
def linked(site):
    """A directory, and another name of it."""
    real, link = site.directory / "real", site.directory / "link"
    real.mkdir()
    link.symlink_to(real)
    return real, link


def refused(site, *listens):
    """The messages of run and check; neither asks to stop holdfast itself."""
    options = [f"--listen={listen}" for listen in listens]
    run = call("run", f"--name={site.name}", *options, "--", *COMMAND)
    assert run.returncode == words.EXIT_FAILURE and "stop it" not in run.stderr
    checked = call("check", *options, "--", *COMMAND)
    assert checked.returncode == words.EXIT_FAILURE and not checked.stderr
    return run.stderr, [line for line in checked.stdout.splitlines() if line.startswith("Problem: ")]


def test_a_path_by_two_names(site, linked):
    real, link = linked
    same = f"{real}/x.sock and {link}/x.sock are the same place; drop one"
    said, problems = refused(site, f"{real}/x.sock", f"{link}/x.sock")
    assert same in said and problems == [f"Problem: {same}"]


def test_a_host_and_its_address(site):
    port = net.free_port()
    first = socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)[0][4][0]
    literal = f"[{first}]:{port}" if ":" in first else f"{first}:{port}"
    for listens in ((literal, f"localhost:{port}"), (f"localhost:{port}", literal)):
        same = f"{listens[0]} and {listens[1]} are the same place; drop one"
        said, problems = refused(site, *listens)
        assert same in said and problems == [f"Problem: {same}"]


@needs_ipv6
def test_both_wildcards(site):
    port = net.free_port()
    said, problems = refused(site, f"0.0.0.0:{port}", f"[::]:{port}")
    assert f"[::]:{port} overlaps an address that this instance holds already" in said and "ipv6-only=yes" in said
    assert problems == [f"Problem: 0.0.0.0:{port} and [::]:{port} overlap; drop one, or give [::] the key ipv6-only=yes"]
    holdfast = sleeper(site, f"--listen=[::]:{port},ipv6-only=yes", listen=f"0.0.0.0:{port}")
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, port), DEADLINE).close()
    holdfast.stop()


def test_a_reload_that_only_renames_loses_nothing(make_site):
    """The same sockets, by other names: /run for /var/run, an address for the host."""
    port = net.free_port()
    first = socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)[0][4][0]
    site = make_site(pools=[Pool(f"localhost:{port}", children=1)])
    holdfast = site.holdfast()
    before = inodes(holdfast.pid)
    literal = f"[{first}]:{port}" if ":" in first else f"{first}:{port}"
    site.pools = [Pool(literal, children=1)]
    site.configure()
    holdfast.replace(2)
    assert inodes(holdfast.pid) == before
    site.pools = [Pool(f"localhost:{port}", children=1)]
    site.configure()
    holdfast.replace(3)
    assert inodes(holdfast.pid) == before
    assert hello(site, f"localhost:{port}").startswith("hello ")


def test_a_reload_that_only_renames_a_path_loses_nothing(make_site, linked):
    """/run for /var/run: the same socket, which is not removed with its old name."""
    real, link = linked
    site = make_site(pools=[Pool(f"{link}/x.sock", children=1)])
    holdfast = site.holdfast()
    before = os.stat(real / "x.sock").st_ino
    seen = {before}
    for number, directory in ((2, real), (3, link)):
        site.pools = [Pool(f"{directory}/x.sock", children=1)]
        site.configure()
        holdfast.replace(number)
        assert hello(site, f"{directory}/x.sock").startswith("hello ")
        seen.add(os.stat(real / "x.sock").st_ino)
    assert os.stat(real / "x.sock").st_ino == before or len(seen) == 2  # of its two sides
    holdfast.stop()
    assert not (real / "x.sock").exists()


def inodes(pid):
    """Of the sockets that listen in a process."""
    listening = {line.split()[9] for name in ("tcp", "tcp6") for line in
                 pathlib.Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] if line.split()[3] == "0A"}
    found = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(fd))
    return {inode for inode in listening if f"socket:[{inode}]" in found}


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_socket_that_was_passed_under_its_other_path(site, linked, verb):
    real, link = linked
    options = ["--ready=delay:1ms"] if verb == "run" else []
    script = "import os, signal; print(os.environ['LISTEN_FDNAMES'], flush=True); signal.pause()"
    with net.listen(f"{link}/x.sock") as listener:
        process = Process([PYTHON, HELPERS / "with_listen_fds.py", f"php={listener.fileno()}", "--", HOLDFAST, verb, *options,
                           f"--listen={real}/x.sock,name=web", "--", PYTHON, "-c", script],
                          pass_fds=[listener.fileno()], env=environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE)
    try:
        Lines(process.popen.stdout).wait("^web$")
    finally:
        process.stop(signal.SIGTERM)


@needs_ipv6
@pytest.mark.parametrize("command", ["php-fpm", "sleep"])
def test_a_port_whose_ipv6_wildcard_is_anothers(make_site, command):
    port = net.free_port()
    site = make_site(pools=[Pool(str(port), children=1)])
    with socket.socket(socket.AF_INET6) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::", port))
        other.listen()
        if command == "sleep":
            holdfast = sleeper(site, listen=f"*:{port}")
            socket.create_connection(("127.0.0.1", port), DEADLINE).close()
        else:
            holdfast = site.holdfast()
            assert hello(site, f"127.0.0.1:{port}").startswith("hello ")
    holdfast.stop()


@pytest.mark.parametrize("listen, problem", [
    ("192.0.2.1:9", "192.0.2.1:9 cannot be bound: this machine does not have that address"),
    ("[fe80::1%nosuch0]:9", "[fe80::1%nosuch0]:9: this machine has no network interface nosuch0"),
])
def test_an_address_that_this_machine_does_not_have(site, listen, problem):
    said, problems = refused(site, listen)
    assert problem in said and problems == [f"Problem: {problem}"]


@needs_ipv6
def test_an_interface_by_name(site):
    """In a network namespace of its own, where lo has a link-local address."""
    script = f"ip link set lo up && ip -6 address add fe80::1/64 dev lo && exec {shlex.quote(str(HOLDFAST))} run --name={site.name} " \
             f"'--listen=[fe80::1%lo]:8000' --ready=delay:1ms -- {shlex.join(map(str, COMMAND))}"
    process = Process(["unshare", "--net", "sh", "-c", script], env=environment(), stdin=subprocess.DEVNULL,
                      stderr=subprocess.PIPE)
    try:
        Lines(process.popen.stderr).wait(words.ready(1))
        assert "[fe80::1%1]:8000" in call("status", f"--name={site.name}").stdout
    finally:
        assert process.stop(signal.SIGTERM) == 0


def test_options_of_a_socket(site):
    """Those of the socket that the service gets, in both generations of a reload."""
    port = net.free_port()
    out = site.directory / "options"
    script = ("import socket, signal, os; s = socket.socket(fileno=3); get = lambda *o: s.getsockopt(*o)\n"
              f"open({str(out)!r}, 'a').write(' '.join(str(get(*o)) for o in ((6, 1), (1, 9), (6, 9), (6, 23), (1, 36), (1, 8), (0, 15), (1, 15)))"
              " + ' ' + s.getsockopt(1, 25, 16).rstrip(b'\\0').decode() + '\\n')\nn = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
              "n.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\nsignal.pause()")
    keys = "no-delay=yes,keep-alive=yes,defer-accept=5,fast-open=16,mark=7,receive-buffer=65536,free-bind=yes,reuse-port=yes,interface=lo"
    holdfast = site.holdfast(f"--listen=192.0.2.1:{port},{keys}", "--ready=notify", command=[PYTHON, "-c", script])
    holdfast.replace(2)
    first, second = out.read_text().splitlines()
    values = first.split()
    assert values[:2] == ["1", "1"] and int(values[2]) >= 5 and values[3:] == ["16", "7", "131072", "1", "1", "lo"]
    assert second == first
    holdfast.stop()
