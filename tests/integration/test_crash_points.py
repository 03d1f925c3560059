# SPDX-License-Identifier: MIT
"""holdfast dies in the middle of an upgrade, of an adoption, or of saving its state: nothing is lost."""
import contextlib
import json
import os
import signal

import pytest

from harness import process, words
from harness.manager import ManagedHoldfast
from harness.paths import HOLDFAST
from harness.wait import Appearance, Ended

pytestmark = pytest.mark.load

CRASHING = HOLDFAST.parents[1] / "tests" / "holdfast-crashing"

IN_UPGRADE = ["upgrade-asked", "upgrade-tested", "upgrade-execute", "upgrade-executed", "restore", "restored"]
IN_ADOPTION = ["adopt-claimed", "adopt-found", "adopt-filled", "adopt-taken", "restore", "restored", "store-pushed",
               "store-write", "store-written"]
STEPS_OF_A_RELOAD = 7
AT_THE_START = ["store-pushed", "store-write", "store-written"]
AROUND = [f"{when}-{action}" for action in ("spawn", "commit", "switch", "save", "forget") for when in ("before", "after")]


def trip(holdfast, point):
    """The environment of the next start decides, and the one after it is well again."""
    holdfast.env = {"HOLDFAST_CRASH_POINT": point} if point else {}


@pytest.mark.parametrize("point", IN_UPGRADE)
def test_upgrade(site, point):
    holdfast = ManagedHoldfast(site, wrapper=(CRASHING,))
    site._closing.append(holdfast.close)
    trip(holdfast, point)
    holdfast.start()
    master = site.main_pid()
    load = site.load()
    assert holdfast.call("upgrade").returncode != 0
    holdfast.process.wait()
    trip(holdfast, None)
    holdfast.start()
    assert site.main_pid() == master
    holdfast.replace(2)
    load.assert_nothing_lost()
    holdfast.stop()


@pytest.mark.parametrize("point", AT_THE_START)
def test_writing(site, point):
    """It dies in its very first step: there is no state to continue from, and nothing gets in the way."""
    holdfast = ManagedHoldfast(site, wrapper=(CRASHING,))
    site._closing.append(holdfast.close)
    trip(holdfast, point)
    holdfast.launch()
    holdfast.process.wait()
    trip(holdfast, None)
    holdfast.start()
    holdfast.wait(words.ready(1))
    assert site.get()[0] == 200
    holdfast.stop()


def masters(holdfast):
    """Of php-fpm; a worker has its master's title for a moment, so the parent counts. An adopted one is our own child:
    the tests are what init is elsewhere."""
    titled = {pid for pid in process.pids() if f"({holdfast.runtime}/" in process.command_line(pid)
              and process.command_line(pid).startswith("php-fpm: master")}
    return titled - {pid for pid in titled if (process.stat(pid) or (None, None))[1] in titled}


@pytest.mark.parametrize("point", IN_ADOPTION)
def test_adoption(make_site, point):
    site = make_site("unix")
    holdfast = ManagedHoldfast(site, wrapper=(CRASHING,))
    site._closing.append(holdfast.close)
    holdfast.start()
    master, inode = site.main_pid(), os.stat(site.address).st_ino
    load = site.load()
    holdfast.process.stop(signal.SIGKILL)
    trip(holdfast, point)
    holdfast.launch()
    assert holdfast.process.wait() == -signal.SIGKILL
    trip(holdfast, None)
    holdfast.start()
    assert site.main_pid() == master and masters(holdfast) == {master}
    holdfast.replace(2)
    assert len(masters(holdfast)) == 1
    holdfast.replace(3)  # back on the first side
    assert len(masters(holdfast)) == 1 and os.stat(site.address).st_ino == inode
    load.assert_nothing_lost()
    holdfast.stop()


@pytest.mark.parametrize("step", range(1, STEPS_OF_A_RELOAD + 1))
def test_reload(make_site, step):
    """It dies each time after saving its state."""
    site = make_site("unix", children=4)
    holdfast = ManagedHoldfast(site, wrapper=(CRASHING,))
    site._closing.append(holdfast.close)
    holdfast.start()
    load = site.load()
    holdfast.process.stop(signal.SIGKILL)
    trip(holdfast, f"store-written:{step}")
    holdfast.launch()
    if holdfast.store.is_ready(2, holdfast.process.ended):  # it may not come so far
        holdfast.send(signal.SIGHUP)
    assert holdfast.process.wait() == -signal.SIGKILL
    trip(holdfast, None)
    holdfast.start()
    reload_leaves_one(holdfast)
    load.assert_nothing_lost()
    holdfast.stop()


def reload_leaves_one(holdfast):
    assert holdfast.call("reload").returncode == 0
    facts = json.loads(holdfast.call("status", "--json").stdout)
    active, = [generation["pid"] for generation in facts["generations"] if generation["state"] == "active"]
    for pid in masters(holdfast) - {active}:
        with contextlib.suppress(ProcessLookupError), Ended(pid) as old:  # it may be gone already
            old.wait()
    assert masters(holdfast) == {active}


def ask_for_reload(holdfast):
    holdfast.send(signal.SIGHUP)


def kill_master(holdfast):
    master, = masters(holdfast)
    os.kill(master, signal.SIGKILL)


@pytest.mark.parametrize("point", [point for point in AROUND if "spawn" not in point and "forget" not in point])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_rollback(make_site, kind, point):
    """Whether it was saved or not, one of the two serves and the other leaves."""
    site = make_site(kind, children=4)
    holdfast = ManagedHoldfast(site, "--park=5s", wrapper=(CRASHING,))
    site._closing.append(holdfast.close)
    holdfast.start()
    load = site.load()
    assert holdfast.call("reload").returncode == 0
    holdfast.process.stop(signal.SIGKILL)
    trip(holdfast, point)
    holdfast.start()
    assert holdfast.call("rollback").returncode != 0
    assert holdfast.process.wait() == -signal.SIGKILL
    trip(holdfast, None)
    holdfast.start()
    reload_leaves_one(holdfast)
    load.assert_nothing_lost()
    holdfast.stop()


@pytest.mark.parametrize("cause, point", [(ask_for_reload, point) for point in AROUND]
                         + [(kill_master, point) for point in AROUND if "commit" not in point])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_around_an_action(make_site, kind, cause, point):
    """It dies right before or right after one action of a replacement. The generations go on serving, and the next holdfast
    continues from there."""
    site = make_site(kind, children=4)
    holdfast = ManagedHoldfast(site, wrapper=(CRASHING,))
    site._closing.append(holdfast.close)
    holdfast.start()
    load = site.load()
    holdfast.process.stop(signal.SIGKILL)
    trip(holdfast, point)
    holdfast.start()
    cause(holdfast)
    assert holdfast.process.wait() == -signal.SIGKILL
    trip(holdfast, None)
    holdfast.start()
    reload_leaves_one(holdfast)
    load.assert_nothing_lost()
    holdfast.stop()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_during_a_trial(make_site, kind):
    """The generation on trial is given up without a visitor having reached it; the active one goes on serving."""
    site = make_site(kind, children=4)
    mark, gate, script = site.directory / "tried", site.directory / "gate", site.root / "healthz.php"
    os.mkfifo(gate)
    gate.chmod(0o666)
    site.directory.chmod(0o777)
    script.write_text(f'<?php touch("{mark}"); fopen("{gate}", "r"); echo "well";')
    holdfast = ManagedHoldfast(site, "--canary=fastcgi:/healthz.php", f"--document-root={site.root}")
    site._closing.append(holdfast.close)
    holdfast.start()
    master = site.main_pid()
    load = site.load()
    with Appearance(mark) as asked:
        holdfast.send(signal.SIGHUP)
        asked.wait()
    holdfast.process.stop(signal.SIGKILL)
    os.close(os.open(gate, os.O_WRONLY))  # who waits for that may have gone before a word
    script.write_text('<?php echo "well";')
    holdfast.start()
    assert site.main_pid() == master
    reload_leaves_one(holdfast)
    load.assert_nothing_lost()
    holdfast.stop()
