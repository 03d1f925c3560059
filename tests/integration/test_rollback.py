# SPDX-License-Identifier: MIT
"""--park and `holdfast rollback`: the generation before a reload is kept ready, and serves again at once."""
import contextlib
import json
import os
import signal

import pytest

from harness import process, words
from harness.wait import Ended

PARKED = r"generation 1 is parked for 10 min: `holdfast rollback` returns to it"
ROLLED_BACK = r"rolled back: generation 1 serves again"


def deploy(site, version):
    """The code prints what its generation was started with."""
    site.pools[0].options["env[VERSION]"] = version
    site.configure(process_control_timeout="10s")


def served(site):
    status, body = site.get("/env.php?names=VERSION")
    assert status == 200
    return body.strip().removeprefix("VERSION=")


def kill_all_at_once(holdfast, main):
    """None is left when holdfast notices."""
    os.kill(holdfast.pid, signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        everybody = [stack.enter_context(Ended(pid)) for pid in [main, *process.children(main)]]
        os.killpg(main, signal.SIGKILL)
        for one in everybody:
            one.wait()
    os.kill(holdfast.pid, signal.SIGCONT)


@pytest.fixture(params=["tcp", "unix"])
def parked(request, make_site):
    """(site, holdfast): generation 2 serves, generation 1 is parked."""
    site = make_site(request.param, children=4)
    deploy(site, "one")
    holdfast = site.holdfast("--park=10min", command=site.command)
    assert served(site) == "one"
    deploy(site, "two")
    holdfast.reload(2)
    holdfast.wait(PARKED)
    assert served(site) == "two"
    return site, holdfast


def test_rollback(parked):
    site, holdfast = parked
    slow = site.start_slow()
    result = holdfast.call("rollback")
    assert (result.returncode, served(site)) == (0, "one"), result.stderr
    holdfast.wait(ROLLED_BACK)
    assert not holdfast.lines.find(words.gone(2))
    assert slow.finish()[0] == 200  # the newer one drains
    holdfast.wait(words.gone(2))
    assert holdfast.call("rollback").returncode == words.EXIT_FAILURE
    # What the configuration says comes with the next start.
    holdfast.reload(3)
    assert served(site) == "two"


def test_status_shows_who_is_parked(parked):
    _, holdfast = parked
    generations = json.loads(holdfast.call("status", "--json").stdout)["generations"]
    parked, active = generations
    assert (parked["number"], parked["state"]) == (1, "parked") and parked["processes"] >= 5
    assert (active["number"], active["state"]) == (2, "active")
    assert parked["memory"] > 0


def test_there_is_nobody_to_roll_back_to(site):
    holdfast = site.holdfast()
    result = holdfast.call("rollback")
    assert result.returncode == words.EXIT_FAILURE
    assert "nothing to roll back to: no generation is parked (--park=TIME" in result.stderr


def test_the_next_reload_ends_who_is_parked(parked):
    """Before the next one is started."""
    _, holdfast = parked
    holdfast.reload(3)
    holdfast.wait(words.gone(1))
    told = holdfast.lines.text()
    assert told.index("generation 1 is draining") < told.index("generation 3 is active")
    holdfast.wait(r"generation 2 is parked")
    holdfast.stop()


def test_who_is_parked_leaves_when_the_time_is_over(site):
    holdfast = site.holdfast("--park=300ms")
    holdfast.reload(2)
    holdfast.wait("generation 1 is parked for 300 ms")
    holdfast.wait(words.gone(1))
    result = holdfast.call("rollback")
    assert result.returncode == words.EXIT_FAILURE and "nothing to roll back to" in result.stderr
    holdfast.stop()


def test_a_rollback_ends_a_crash_loop(parked):
    """The new code can no longer be started."""
    site, holdfast = parked
    main = site.main_pid()
    site.break_program()
    kill_all_at_once(holdfast, main)
    holdfast.wait(words.start_failed(3))
    assert holdfast.call("rollback").returncode == 0
    assert served(site) == "one"


@pytest.mark.load
@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_a_rollback_under_load_loses_nothing_and_is_atomic(make_site, listen):
    site = make_site(listen, children=8, process_control_timeout="10s")
    holdfast = site.holdfast("--park=10min")
    load = site.load()
    old = site.main_pid()
    holdfast.reload(2)
    new, = {site.main_pid() for _ in range(100)}  # the load comes to it as well
    assert holdfast.call("rollback").returncode == 0
    assert {site.main_pid() for _ in range(100)} == {old} != {new}
    holdfast.wait(words.gone(2))
    load.assert_nothing_lost()
    entries = [(entry["at"], entry["at"] + entry["latency"], int(entry["body"].split()[1]))
               for entry in load.stop()["ledger"]]
    came = min(end for _, end, master in entries if master == new)
    last = max(begin for begin, _, master in entries if master == new)
    returned = min(end for begin, end, master in entries if master == old and begin > came)
    assert not [begin for begin, _, master in entries if master == old and came < begin < min(last, returned)]
    assert last < returned
