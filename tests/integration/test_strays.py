# SPDX-License-Identifier: MIT
"""What a holdfast that was killed leaves in its unit's cgroup serves on, lends its sockets, and is ended by the next."""
import os
import re
import signal

import pytest

from harness import cgroup, fastcgi, words
from harness.manager import ManagedHoldfast
from harness.process import Process
from harness.wait import Ended

GONE = r"what a dead holdfast left has gone"


@pytest.fixture
def unit():
    group = cgroup.unified(".service")
    if not group:
        pytest.skip("no cgroup v2 here")
    yield group
    group.close()


@pytest.fixture
def managed(unit, make_site):
    """The main process of that unit."""
    def make(listen="tcp", *options, children=16, **more):
        site = make_site(listen, children=children)
        holdfast = ManagedHoldfast(site, *options, group=unit, **more)
        site._closing.append(holdfast.close)
        holdfast.start()
        return site, holdfast

    return make


def die(holdfast):
    holdfast.process.stop(signal.SIGKILL)


def forget(holdfast, prefix=""):
    """The store had no room for those."""
    with holdfast.store.changed:
        for name in {name for name, _ in holdfast.store.entries if name.startswith(prefix)}:
            holdfast.store.remove(name)


def incarnations(holdfast):
    """Of which holdfasts the runtime directory holds files."""
    return {match[1] for path in holdfast.runtime.rglob("*") if (match := re.search(r"\b\d+-(\d+)\.", path.name))}


@pytest.mark.load
@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_socket_is_copied_out_of_them(managed, listen):
    site, holdfast = managed(listen, "--probe=fastcgi:/ping")
    load = site.load()
    master = site.main_pid()
    with Ended(master) as old:
        die(holdfast)
        forget(holdfast)
        holdfast.start()
        holdfast.wait(r"is copied out of pid \d+")
        holdfast.wait(GONE)
        old.wait()
    assert site.main_pid() != master
    load.assert_nothing_lost()
    assert len(incarnations(holdfast)) == 1
    assert site.get()[0] == 200
    holdfast.replace(2)
    assert site.get()[0] == 200
    holdfast.stop()


@pytest.mark.load
@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_each_side_is_copied_out_of_who_has_it(managed, listen):
    """Of two generations each holds one socket of the listener. Who waits in the queue of either is answered."""
    site, holdfast = managed(listen, "--drain-timeout=1min", children=2)
    old = site.start_slow()
    holdfast.reload(2)
    assert not holdfast.lines.find(words.gone(1))
    busy = [site.start_slow() for _ in range(2)]
    with fastcgi.connect(site.address) as waiting:
        die(holdfast)
        forget(holdfast)
        holdfast.start()
        holdfast.wait(r"which a dead holdfast left, and its other sides out of who has them")
        holdfast.wait(r"left by a dead holdfast and sent SIGQUIT: ")
        for slow in (old, *busy):
            assert slow.finish()[0] == 200
        holdfast.wait(GONE)
        assert fastcgi.request_over(waiting, str(site.root / "hello.php"))[1].startswith("hello")
    load = site.load(slow_share=0)
    for number in (2, 3):
        holdfast.replace(number)
    load.assert_nothing_lost()
    holdfast.stop()


def test_slow_request_is_finished(managed):
    site, holdfast = managed()
    slow = site.start_slow(1500)
    die(holdfast)
    forget(holdfast)
    holdfast.start()
    holdfast.wait(GONE)
    assert slow.get()[0] == 200


def test_without_the_right_to_copy_it_waits(managed):
    """Not even who holds the socket can be seen."""
    site, holdfast = managed()
    master = site.main_pid()
    die(holdfast)
    forget(holdfast)
    holdfast.wrapper = ["setpriv", "--inh-caps=-sys_ptrace", "--bounding-set=-sys_ptrace"]
    with Ended(master) as old:
        holdfast.start()
        holdfast.wait(r"cannot be examined.*; the address is bound once those have left")
        old.wait()
    assert site.get()[0] == 200


def test_a_typo_in_the_settings_does_not_wait_for_them(managed):
    site, holdfast = managed()
    slow = site.start_slow()
    die(holdfast)
    forget(holdfast)
    holdfast.start()
    holdfast.wait("left by a dead holdfast")
    site.break_configuration()
    result = holdfast.call("reload")
    assert result.returncode == words.EXIT_FAILURE and "no_such_setting" in result.stderr
    assert not holdfast.lines.find(GONE)
    site.configure()
    assert slow.finish()[0] == 200
    holdfast.wait(GONE)


def test_other_program_is_spared(managed, unit):
    site, holdfast = managed()
    job = Process(unit.wrap("sleep") + ["300"])
    try:
        die(holdfast)
        forget(holdfast)
        holdfast.start()
        holdfast.wait(GONE)
        assert job.running()
        assert site.get()[0] == 200
    finally:
        job.stop(signal.SIGKILL)


@pytest.mark.load
def test_main_process_that_only_the_store_knows(make_site):
    """Death between spawn and snapshot."""
    site = make_site("tcp")
    holdfast = ManagedHoldfast(site)
    site._closing.append(holdfast.close)
    holdfast.start()
    load = site.load(slow_share=0)
    with Ended(site.main_pid()) as old:
        die(holdfast)
        forget(holdfast, "hf-s-")
        holdfast.start()
        holdfast.wait(GONE)
        old.wait()
    load.assert_nothing_lost()
    holdfast.stop()


def test_not_in_a_unit_nothing_is_touched(make_site):
    """The cgroup of a session or a container is not holdfast's alone."""
    site = make_site("tcp")
    holdfast = ManagedHoldfast(site)
    site._closing.append(holdfast.close)
    holdfast.start()
    master = site.main_pid()
    die(holdfast)
    forget(holdfast)
    holdfast.launch()
    holdfast.wait(r"is in use by php-fpm")
    holdfast.process.wait()
    with Ended(master) as old:
        assert old.alive()
        os.kill(master, signal.SIGQUIT)
        old.wait()
