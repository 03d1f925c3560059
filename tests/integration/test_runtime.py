# SPDX-License-Identifier: MIT
"""The runtime directory is removed while holdfast runs: by a tmp cleaner, or at the last logout of a user without linger."""
import fcntl
import os
import shutil
import signal
import subprocess

import pytest

from harness import words
from harness.holdfast import call
from harness.paths import HOLDFAST, PHP_FPM, PHP_FPM_PLAIN

REMADE = "the runtime directory .* was removed; it is created again"


def wait_until_remade(holdfast, since):
    """Piece by piece, when it was removed so: the control socket is the last."""
    while True:
        holdfast.wait(REMADE, since)
        since = holdfast.mark()
        if (holdfast.runtime / "control").exists() and holdfast.call("status").returncode == 0:
            return


def test_directory_that_was_removed_is_made_again(site):
    """Control, reload, and what happens after a crash are as before."""
    holdfast = site.holdfast()
    aside = holdfast.runtime.with_suffix(".removed")
    since = holdfast.mark()
    holdfast.runtime.rename(aside)
    try:
        wait_until_remade(holdfast, since)
    finally:
        shutil.rmtree(aside)
    assert holdfast.call("reload").returncode == 0
    holdfast.wait(words.gone(1))
    os.kill(site.main_pid(), signal.SIGKILL)
    holdfast.wait(words.ready(3))
    assert site.get()[0] == 200
    assert holdfast.call("restart").returncode == 0
    holdfast.stop()


@pytest.mark.parametrize("name", ["control", "notify", "lock"])
def test_file_that_was_removed_is_made_again(site, name):
    holdfast = site.holdfast()
    since = holdfast.mark()
    (holdfast.runtime / name).unlink()
    holdfast.wait(REMADE, since)
    assert holdfast.call("reload").returncode == 0
    result = call("run", f"--name={site.name}", "--", PHP_FPM, "-y", site.configuration_path)
    assert "is running already (pid" in result.stderr
    holdfast.stop()


def test_file_that_is_written_there_when_nobody_waits_for_one(site):
    """The pid file of a generation was waited for there; what is written later concerns nobody."""
    holdfast = site.holdfast(command=[PHP_FPM_PLAIN, "-y", site.configuration_path])
    (holdfast.runtime / "gen-0.test").write_text("written")
    assert holdfast.call("status").returncode == 0
    assert holdfast.call("reload").returncode == 0
    holdfast.stop()


def test_lock_that_a_child_of_a_killed_one_has_still(site):
    """A child that was not executed yet when holdfast was killed: the next start waits for it."""
    holdfast = site.holdfast()
    holdfast.stop()
    holdfast.runtime.mkdir(parents=True)
    dead = subprocess.Popen(["true"])
    dead.wait()
    with open(holdfast.runtime / "lock", "w") as lock:
        lock.write(f"{dead.pid}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        holdfast.launch()
        holdfast.wait(f"waiting for a child that {site.name}, which was killed .pid {dead.pid}., left")
    holdfast.wait(words.ready(1))
    assert (holdfast.runtime / "lock").stat().st_mode & 0o777 == 0o600  # or anybody could lock it
    holdfast.stop()


def test_overlay_that_was_removed_is_made_again(site):
    holdfast = site.holdfast()
    overlay, = holdfast.runtime.glob("gen-1*.conf")
    text = overlay.read_text()
    overlay.unlink()
    assert holdfast.call("status").returncode == 0
    holdfast.settle()
    assert overlay.read_text() == text
    holdfast.stop()


def test_directory_that_cannot_be_made_again_is_done_without(make_site):
    """Of a user who has logged out. Generations are kept in memory, and on disk again once there is one."""
    site = make_site("unix", children=4, pool_options=dict.fromkeys(["user", "group", "listen.owner", "listen.group"]))
    site.configure(error_log=site.marks / "fpm.log")
    home = site.directory / "user"
    runtime = site.directory / "xdg"
    program = home / "holdfast"
    for directory in (home, runtime):
        directory.mkdir()
    shutil.copy(HOLDFAST, program)
    for path in (home, runtime, program):
        shutil.chown(path, "www-data", "www-data")
    site.address = site.pools[0].listen = str(home / "fpm.sock")
    site.configure()
    holdfast = site.holdfast(
        wrapper=["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", program],
        env={"XDG_RUNTIME_DIR": str(runtime)}, runtime=runtime / "holdfast")
    while runtime.exists():  # holdfast makes it again until its parent has gone, too
        shutil.rmtree(runtime, ignore_errors=True)
    holdfast.replace(2)
    assert holdfast.lines.find("the runtime directory was removed, and .*: everything is kept in memory")
    assert site.get()[0] == 200
    os.kill(site.main_pid(), signal.SIGKILL)
    holdfast.wait(words.ready(3))
    assert site.get()[0] == 200
    runtime.mkdir()
    shutil.chown(runtime, "www-data", "www-data")
    holdfast.reload(4)
    assert (holdfast.runtime / "control").is_socket()
    assert site.get()[0] == 200
    holdfast.stop()
