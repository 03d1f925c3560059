"""holdfast dies in the middle of an upgrade, or of writing down what it does: nothing is lost."""
import pytest

from harness import words
from harness.manager import ManagedHoldfast
from harness.paths import HOLDFAST

CRASHING = HOLDFAST.parents[1] / "tests" / "holdfast-crashing"

IN_UPGRADE = ["upgrade-asked", "upgrade-tested", "upgrade-execute", "upgrade-executed", "restore", "restored"]
IN_RELOAD = ["store-pushed", "store-write", "store-written"]


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


@pytest.mark.parametrize("point", IN_RELOAD)
def test_writing(site, point):
    """It dies in its very first step: there is nothing yet to go on with, and nothing in the way."""
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
