# SPDX-License-Identifier: MIT
"""Sub-cgroups of generations, and what the kernel's OOM killer leaves to be seen."""
import re
import signal

import pytest

from harness import process, words
from harness.cgroup import limited, unified
from harness.paths import HOLDFAST
from harness.wait import Ended


@pytest.fixture
def cgroup():
    group = unified()
    if not group:
        pytest.skip("no cgroup v2 in which one can be made")
    yield group
    group.close()


@pytest.fixture
def delegated(cgroup, service):
    """The service's holdfast runs in a cgroup that was delegated to it."""
    cgroup.delegate()
    service.how = {"wrapper": cgroup.wrap(HOLDFAST)}
    yield service
    service.close()


def name_of(service, number):
    return f"holdfast-{service.site.name}-gen-{number}"


def number_in(holdfast, pattern):
    return int(re.search(r"(\d+)$", holdfast.wait(pattern)).group(1))


def test_each_generation_has_its_own(cgroup, delegated):
    holdfast = delegated.start(behaviour=["leave-worker", f"--trigger={delegated.fifo}"], **delegated.how)
    worker = delegated.ask()
    assert cgroup.below() == [name_of(delegated, 1)]
    assert worker in cgroup.processes(name_of(delegated, 1))
    assert cgroup.processes() == [holdfast.pid]
    delegated.behave("serve")
    holdfast.replace(2)
    holdfast.settle()
    assert cgroup.below() == [name_of(delegated, 2)]
    assert cgroup.processes(name_of(delegated, 2)) == [delegated.ask()]
    holdfast.stop()
    assert cgroup.below() == []


def test_who_made_itself_a_daemon_is_found(cgroup, delegated):
    holdfast = delegated.start(behaviour=["double-fork"], **delegated.how)
    daemon = number_in(holdfast, r"daemon \d+")
    delegated.behave("serve")
    with Ended(daemon) as held:
        holdfast.replace(2)
        assert not held.alive()
    assert holdfast.lines.find(f"misbehave {daemon}: leaves as asked")
    holdfast.settle()
    assert cgroup.below() == [name_of(delegated, 2)]
    holdfast.stop()


def test_an_upgrade_knows_them_again(cgroup, delegated):
    holdfast = delegated.start(behaviour=["double-fork"], **delegated.how)
    daemon = number_in(holdfast, r"daemon \d+")
    result = holdfast.call("upgrade")
    assert result.returncode == 0, result.stderr
    assert cgroup.below() == [name_of(delegated, 1)]
    delegated.behave("serve")
    with Ended(daemon) as held:
        holdfast.replace(2)
        assert not held.alive()
    holdfast.settle()
    assert cgroup.below() == [name_of(delegated, 2)]
    holdfast.stop()


def test_kill_mode_all_ends_who_left_the_session(delegated):
    holdfast = delegated.start("--kill-mode=all", behaviour=["leave-background", "--without-listener"], **delegated.how)
    pid = number_in(holdfast, r"background \d+")
    delegated.behave("serve")
    with Ended(pid) as sleeper:
        holdfast.replace(2)
        assert not sleeper.alive()
    holdfast.stop()


def test_what_is_spared_keeps_its_cgroup_until_the_end(cgroup, delegated):
    holdfast = delegated.start(behaviour=["leave-background", "--without-listener"], **delegated.how)
    pid = number_in(holdfast, r"background \d+")
    delegated.behave("serve")
    holdfast.replace(2)
    assert holdfast.lines.find(rf"generation 1 leaves in the background: sleep \({pid}\)")
    assert cgroup.below() == [name_of(delegated, 1), name_of(delegated, 2)]
    assert cgroup.processes(name_of(delegated, 1)) == [pid]
    assert holdfast.process.stop() == 0
    assert cgroup.below() == []
    assert cgroup.processes() == [pid]
    assert process.end_strays() == [pid]


def test_a_cgroup_goes_with_the_next_generation_that_goes(cgroup, delegated):
    holdfast = delegated.start(behaviour=["leave-background", "--without-listener"], **delegated.how)
    pid = number_in(holdfast, r"background \d+")
    delegated.behave("serve")
    holdfast.replace(2)
    with Ended(pid) as sleeper:
        signal.pidfd_send_signal(sleeper.fd, signal.SIGKILL)
        sleeper.wait()
    holdfast.replace(3)
    holdfast.settle()
    assert cgroup.below() == [name_of(delegated, 3)]
    holdfast.stop()


def test_what_a_killed_instance_left_is_not_taken_for_ones_own(cgroup, delegated):
    (cgroup.path / name_of(delegated, 7)).mkdir()
    stranger = cgroup.put(name_of(delegated, 1))
    try:
        holdfast = delegated.start(**delegated.how)
        own = f"{name_of(delegated, 1)}.{holdfast.pid}"
        assert cgroup.below() == [name_of(delegated, 1), own]
        assert cgroup.processes(own) == [delegated.ask()]
        holdfast.replace(2)
        assert stranger.running()
        holdfast.stop()
        assert stranger.running() and cgroup.below() == []
    finally:
        stranger.stop(signal.SIGKILL)


@pytest.mark.parametrize("options", [[], ["--cgroup=off"]], ids=["not-delegated", "off"])
def test_none_is_made(cgroup, service, options):
    if options:
        cgroup.delegate()
    holdfast = service.start(*options, wrapper=cgroup.wrap(HOLDFAST))
    assert cgroup.below() == []
    assert sorted(cgroup.processes()) == sorted([holdfast.pid, service.ask()])
    holdfast.stop()


# ---- SIGKILL that holdfast did not send ----


def test_the_oom_killer_is_named(service):
    group = limited(96 << 20)
    if not group:
        pytest.skip("no memory controller that a test may use")
    try:
        holdfast = service.start(behaviour=["eat", f"--trigger={service.fifo}"], wrapper=group.wrap(HOLDFAST))
        service.behave("serve")
        service.trigger()
        line = holdfast.wait(words.crashed(1))
        assert "was killed by signal 9 (SIGKILL), by the kernel's OOM killer: there was not enough memory" in line
        holdfast.wait(words.ready(2))
        holdfast.stop()
    finally:
        service.close()
        group.close()


def test_a_kill_by_somebody_else_is_said_to_be_none_of_ours(service):
    holdfast = service.start()
    with Ended(service.ask()) as main:
        signal.pidfd_send_signal(main.fd, signal.SIGKILL)
    assert "was killed by signal 9 (SIGKILL), not by holdfast" in holdfast.wait(words.crashed(1))
    holdfast.stop()
