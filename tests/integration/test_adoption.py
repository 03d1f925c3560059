# SPDX-License-Identifier: MIT
"""holdfast is killed: the next one goes on with sockets and generations, and no request is affected."""
import json
import os
import pathlib
import signal
import socket
import time

import pytest

from harness import net, process, words
from harness.manager import ManagedHoldfast, killed
from harness.paths import HELPERS, PYTHON
from harness.wait import DEADLINE, Appearance, Ended

pytestmark = pytest.mark.load

ADOPTED = r"the previous holdfast died; this one continues with"


@pytest.fixture
def managed(make_site):
    def make(listen="tcp", *options, **more):
        site = make_site(listen)
        holdfast = ManagedHoldfast(site, *options, **more)
        site._closing.append(holdfast.close)
        holdfast.start()
        return site, holdfast

    return make


def die(holdfast):
    holdfast.process.stop(signal.SIGKILL)


def revive(holdfast):
    holdfast.start()
    holdfast.wait(ADOPTED)


def test_under_load(managed):
    site, holdfast = managed()
    load = site.load()
    master = site.main_pid()
    for _ in range(2):
        die(holdfast)
        assert site.get()[0] == 200
        revive(holdfast)
    assert site.main_pid() == master
    holdfast.reload(2)
    holdfast.wait(words.gone(1))
    assert len([pid for pid in process.children(holdfast.pid)]) == 1
    load.assert_nothing_lost()
    assert [name for name in holdfast.store.names() if name.startswith("hf-p-")] == ["hf-p-2"]
    holdfast.stop()


def test_a_canary(make_site):
    """No store knows the one that was being asked: it is ended."""
    site = make_site(children=2)
    (site.root / "asked.php").write_text("<?php $_GET = ['ms' => 1000, 'mark' => 'asked']; require __DIR__ . '/busy.php';")
    holdfast = ManagedHoldfast(site, "--canary=fastcgi:/asked.php", f"--document-root={site.root}", "--handover=gentle")
    site._closing.append(holdfast.close)
    holdfast.start()
    with Appearance(site.marks / "asked") as asked:
        holdfast.send(signal.SIGHUP)
        asked.wait()
    canary, = [pid for pid in process.children(holdfast.pid) if pid != site.main_pid()]
    with Ended(canary) as left:
        die(holdfast)
        assert left.alive()
        revive(holdfast)
        left.wait()
    assert not [path for path in net.unix_paths() if path.startswith(f"{holdfast.runtime}/canary.")]
    holdfast.stop()


def test_unix_path_stays_where_it_is(managed):
    site, holdfast = managed("unix")
    before = os.stat(site.address).st_ino
    die(holdfast)
    revive(holdfast)
    holdfast.replace(2)
    holdfast.replace(3)  # back on the first side
    assert os.stat(site.address).st_ino == before
    assert site.get()[0] == 200


def test_restart_of_the_unit(managed):
    """Stopped and started again: the same socket, at the same path, with its queue."""
    site, holdfast = managed("unix")
    before = os.stat(site.address).st_ino
    holdfast.stop()
    waiting = site.get_later("/hello.php")
    holdfast.start()
    assert os.stat(site.address).st_ino == before
    assert waiting.get()[0] == 200
    holdfast.replace(2)


def test_death_after_a_restart_of_the_unit(managed):
    """The socket that generations notify is the restarted one's, not that of the one before."""
    site, holdfast = managed()
    holdfast.stop()
    holdfast.start()
    holdfast.settle()
    assert holdfast.store.names().count("hf-n") == 1
    die(holdfast)
    revive(holdfast)
    holdfast.replace(2)
    holdfast.stop()


@pytest.mark.parametrize("order", ["holdfast first", "master first"])
def test_master_is_killed_too(managed, order):
    site, holdfast = managed()
    load = site.load(slow_share=0)
    master = site.main_pid()
    if order == "holdfast first":
        die(holdfast)
        killed(master)
    else:
        killed(master)
        die(holdfast)
    revive(holdfast)
    holdfast.wait(words.ready(2))
    holdfast.wait(words.gone(1))
    assert site.main_pid() != master
    load.assert_nothing_lost()


def test_everything_is_killed(managed):
    """Late messages about them are not attributed to the generation that has their slot by then."""
    site, holdfast = managed()
    master = site.main_pid()
    workers = process.children(master)
    die(holdfast)
    for pid in [master, *workers]:
        killed(pid)
    revive(holdfast)
    holdfast.wait(words.ready(2))
    holdfast.settle()
    assert site.get()[0] == 200
    assert not holdfast.lines.find(words.crashed(2))
    holdfast.replace(3)
    holdfast.stop()


def test_priority_that_was_not_put_back(managed):
    """It was killed right after a switch, when the kernel had not yet taken the priority from before the warm-up."""
    site, holdfast = managed()
    master = site.main_pid()
    die(holdfast)
    with open(f"/proc/{master}/autogroup", "w") as group:
        group.write("19")
    revive(holdfast)
    end = time.monotonic() + DEADLINE
    while not pathlib.Path(f"/proc/{master}/autogroup").read_text().endswith("nice 0\n"):
        assert time.monotonic() < end
        assert site.get()[0] == 200
    holdfast.stop()


def test_crash_of_an_adopted_master(managed):
    site, holdfast = managed()
    die(holdfast)
    revive(holdfast)
    killed(site.main_pid())
    holdfast.wait(r"generation 1 crashed: .* ended \(only its parent knows how\)")
    holdfast.wait(words.ready(2))
    assert site.get()[0] == 200


def test_while_a_generation_drains(managed):
    site, holdfast = managed()
    slow = site.start_slow(1500)
    holdfast.reload(2)
    holdfast.settle()
    die(holdfast)
    revive(holdfast)
    holdfast.wait(words.gone(1))
    assert slow.get()[0] == 200


def test_upgrade_after_adoption(managed):
    site, holdfast = managed()
    load = site.load()
    die(holdfast)
    revive(holdfast)
    assert holdfast.call("upgrade").returncode == 0
    die(holdfast)
    revive(holdfast)
    load.assert_nothing_lost()


def test_what_happened_after_an_upgrade_counts(managed):
    """It continues the previous program's snapshots, so that an old one is not read again."""
    site, holdfast = managed()
    for number in (2, 3):
        holdfast.replace(number)
    for _ in range(2):
        assert holdfast.call("upgrade").returncode == 0
    killed(site.main_pid())
    holdfast.wait(words.ready(4))
    holdfast.wait(words.gone(3))
    master = site.main_pid()
    holdfast.settle()
    assert [name for name in holdfast.store.names() if name.startswith("hf-s-")] == ["hf-s-0", "hf-s-1"]
    die(holdfast)
    revive(holdfast)
    assert not holdfast.lines.find("left by a dead holdfast")
    assert site.main_pid() == master
    holdfast.replace(5)
    holdfast.stop()


def test_restart_of_a_unit_with_a_socket_unit(make_site):
    """Its socket is passed each time, and named nowhere else: the service is given it each time."""
    site = make_site()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        holdfast = ManagedHoldfast(site, command=[PYTHON, HELPERS / "listen_fds_server.py"])
        holdfast.activated = [("web", listener.fileno())]
        site._closing.append(holdfast.close)
        for _ in range(3):
            holdfast.start()
            with socket.create_connection(listener.getsockname(), timeout=10) as client:
                assert json.loads(client.makefile().readline())
            holdfast.stop()
        assert holdfast.wait(r"1 listener")


def test_manager_that_does_not_read_for_a_while(managed):
    """Additions to and removals from the store are carried out in order once it reads again."""
    site, holdfast = managed("unix")
    old = {name for name in holdfast.store.names() if name.startswith("hf-l-")}
    first, second = site.pools[0].listen, str(site.directory / "other.sock")
    holdfast.store.stop_reading()
    for number, address in ((2, second), (3, first)):
        site.pools[0].listen = address
        site.configure()
        holdfast.replace(number)
    holdfast.settle()
    holdfast.store.read_again()
    names = holdfast.store.wait_for(lambda names: "hf-p-3" in names and not old & set(names))
    assert len([name for name in names if name.startswith("hf-l-")]) == len(old) == 2  # both sides
    assert [name for name in names if name.startswith("hf-p-")] == ["hf-p-3"]
    die(holdfast)
    revive(holdfast)
    assert site.get()[0] == 200


def test_listener_that_goes_leaves_the_store(managed):
    site, holdfast = managed("unix")
    listeners = [name for name in holdfast.store.names() if name.startswith("hf-l-")]
    assert len(listeners) == 2  # both sides
    die(holdfast)
    revive(holdfast)
    site.pools[0].listen = str(site.directory / "other.sock")
    site.configure()
    holdfast.replace(2)
    holdfast.settle()
    left = [name for name in holdfast.store.names() if name.startswith("hf-l-")]
    assert len(left) == 2 and not set(left) & set(listeners)
    assert not os.path.lexists(site.address)
