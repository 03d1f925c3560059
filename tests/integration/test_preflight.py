# SPDX-License-Identifier: MIT
"""The user's own test before something is started."""
import os
import signal
import subprocess

import pytest

from harness import words
from harness.holdfast import call
from harness.manager import killed
from harness.paths import HOLDFAST, PHP_FPM
from harness.process import environment


@pytest.fixture
def checked(site):
    """An instance whose preflight passes as long as there is no file `broken` in the site's directory."""
    site.checked = site.holdfast("--preflight=echo looked; test ! -e broken", f"--directory={site.directory}")
    return site


def test_a_good_one_is_followed_by_the_reload(checked):
    before = checked.main_pid()
    checked.checked.replace(2)
    assert checked.main_pid() != before


@pytest.mark.parametrize("verb", ["reload", "restart"])
def test_a_failed_one_replaces_nothing(checked, verb):
    before = checked.main_pid()
    (checked.directory / "broken").touch()
    failed = checked.checked.call(verb)
    assert failed.returncode == 1
    assert "the preflight exited with status 1" in failed.stderr and "looked" in failed.stderr
    assert checked.main_pid() == before
    (checked.directory / "broken").unlink()
    assert checked.checked.call(verb).returncode == 0


def test_a_failed_one_keeps_nobody_from_serving_after_crashes(checked):
    """From the second crash on the settings are read again; if they do not work, the committed plan is used."""
    (checked.directory / "broken").touch()
    for number in (1, 2, 3):
        killed(checked.main_pid())
        checked.checked.wait(words.ready(number + 1))
        assert checked.get()[0] == 200
    assert checked.checked.lines.find("the start after a crash failed: .*the preflight exited with status 1")
    assert checked.checked.lines.find("the service is started with the settings in force")
    (checked.directory / "broken").unlink()
    assert checked.checked.call("reload").returncode == 0
    assert checked.checked.call("restart").returncode == 0
    assert checked.get()[0] == 200


def test_it_sees_the_environment_of_the_service(site):
    failed = call("run", f"--name={site.name}", "--environment=SHOP=red", "--preflight=echo shop is $SHOP; exit 3", "--",
                  PHP_FPM, "-y", site.configuration_path)
    assert failed.returncode == 1
    assert "shop is red" in failed.stderr


def test_at_the_first_start_it_is_the_end(site):
    failed = call("run", f"--name={site.name}", "--preflight=echo no way >&2; exit 3", "--", PHP_FPM, "-y",
                  site.configuration_path)
    assert failed.returncode == words.EXIT_FAILURE
    assert "the preflight exited with status 3" in failed.stderr and "no way" in failed.stderr


def test_it_has_the_ready_timeout(site):
    failed = call("run", f"--name={site.name}", "--ready-timeout=3s", "--preflight=exec sleep 60", "--", PHP_FPM, "-y",
                  site.configuration_path)
    assert failed.returncode == words.EXIT_FAILURE
    assert "the preflight did not finish in 3 s" in failed.stderr


def test_it_gets_no_listener(site):
    instance = site.holdfast("--preflight=ls -l /proc/self/fd | grep socket && exit 1; exit 0")
    assert instance.call("reload").returncode == 0


def test_who_waits_is_told_that_holdfast_was_killed(site):
    gate = site.directory / "gate"
    instance = site.holdfast("--preflight=test ! -e gate || cat gate", f"--directory={site.directory}")
    os.mkfifo(gate)
    caller = subprocess.Popen([HOLDFAST, "reload", "--quiet", f"--name={site.name}"], env=environment(), text=True,
                              stderr=subprocess.PIPE)
    with gate.open("w"):  # the preflight runs
        instance.process.stop(signal.SIGKILL)
    assert caller.communicate(timeout=20)[1] == "holdfast: reload: holdfast ended before it answered; see its log\n"
    assert caller.returncode == 1
