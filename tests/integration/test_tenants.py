# SPDX-License-Identifier: MIT
"""What other users of the machine can do, and what root sees of them."""
import fcntl
import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess

import pytest

from harness import words
from harness.alone import Alone
from harness.paths import HELPERS, HOLDFAST, PYTHON
from harness.process import Process, environment
from harness.terminal import on_terminal
from harness.wait import DEADLINE

ALICE, BOB = 33, 65533


@pytest.fixture
def machine(site):
    """With two users who can reach the program."""
    program = site.directory / "holdfast"
    shutil.copy(HOLDFAST, program)
    view = Alone((ALICE, BOB), program)
    yield view
    view.close()


def runtime(uid):
    return {"XDG_RUNTIME_DIR": f"/run/user/{uid}"}


# ---- which instance is meant ----

def test_a_users_instances_are_found(machine):
    """By root, who also sees whose they are, and by the user's own cron."""
    machine.run("web")
    alices = machine.run("web", ALICE, **runtime(ALICE))
    machine.run("shop", BOB, **runtime(BOB))
    directory = f"/run/user/{ALICE}/holdfast/web"
    shown = [json.loads(line) for line in machine.call("status", "--json").stdout.splitlines()]
    assert [one["name"] for one in shown] == [f"/run/user/{BOB}/holdfast/shop", "web", directory]
    metrics = machine.call("metrics")
    assert f'holdfast_generation{{name="{directory}"}} 1\n' in metrics.stdout
    checked = subprocess.run(["promtool", "check", "metrics"], input=metrics.stdout, env=environment(),
                             capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    # a name alone is root's own: who runs another instance calls it as he likes
    result = machine.call("reload", "--name=shop")
    assert (result.returncode, result.stderr) == (
        words.EXIT_NOT_RUNNING, "holdfast: no instance named shop is running; another user has one, choose it with "
        f"--name: /run/user/{BOB}/holdfast/shop\n")
    assert machine.call("reload").returncode == 0  # the only one of root's
    assert machine.call("reload", f"--name={directory}").returncode == 0
    alices.lines.wait(words.gone(1))
    assert machine.call("status", "--name=web", uid=ALICE).stdout.startswith("web: running, generation 2")  # no XDG_*
    result = machine.call("status", f"--name={directory}", uid=BOB)
    assert result.returncode == words.EXIT_NOT_PERMITTED
    assert machine.call("stop", f"--name={directory}").returncode == 0
    assert alices.wait() == 0


def test_no_instance_but_another_users(machine):
    machine.run("shop", BOB, **runtime(BOB))
    result = machine.call("stop")
    assert (result.returncode, result.stderr) == (
        words.EXIT_NOT_RUNNING, "holdfast: no instance is running; another user has one, choose it with --name: "
        f"/run/user/{BOB}/holdfast/shop\n")


@pytest.mark.parametrize("where", ["instance", "base", "socket"])
def test_a_link_of_a_user_steers_nobody_to_another_instance(machine, where):
    web = machine.run("web")
    base = f"{machine.root()}/run/user/{ALICE}/holdfast"
    if where == "base":
        os.rmdir(base)
        os.symlink("/run/holdfast", base)
    elif where == "instance":
        os.symlink("/run/holdfast/web", f"{base}/web")
    else:
        os.mkdir(f"{base}/web")
        os.chown(f"{base}/web", ALICE, ALICE)
        os.symlink("/run/holdfast/web/control", f"{base}/web/control")
    os.chown(f"{base}/web/control" if where == "socket" else base if where == "base" else f"{base}/web", ALICE, ALICE,
             follow_symlinks=False)
    directory = f"/run/user/{ALICE}/holdfast/web"
    for verb in ("stop", "status"):
        result = machine.call(verb, f"--name={directory}")
        assert result.returncode == words.EXIT_FAILURE
        assert result.stderr == f"holdfast: the instance {directory} is not contacted: its path leads through a link " \
            "or directory of a user who is neither root nor the one it runs as\n"
    assert machine.call("stop", "--name=evil").returncode == words.EXIT_NOT_RUNNING
    assert [line.split(":")[0] for line in machine.call("status").stdout.splitlines()][:1] == ["web"]
    assert web.running()


# ---- what a less privileged instance sends ----

@pytest.fixture
def impostor(site):
    """An instance of another user that answers with what controls terminals."""
    directory = site.directory / "impostor"
    directory.mkdir()
    os.chown(directory, ALICE, ALICE)
    process = Process(["setpriv", f"--reuid={ALICE}", f"--regid={ALICE}", "--clear-groups", PYTHON,
                       HELPERS / "impostor.py", directory], env=environment(), stdin=subprocess.DEVNULL,
                      stdout=subprocess.PIPE)
    assert process.popen.stdout.readline() == b"\n"
    yield directory
    process.stop(signal.SIGKILL)
    process.popen.stdout.close()


@pytest.mark.parametrize("verb", ["status", "status --json", "metrics", "history", "history --json", "reload", "restart",
                                  "rollback", "stop", "hold", "release", "upgrade"])
def test_no_escape_sequence_reaches_the_terminal(impostor, verb):
    arguments = [*verb.split(), f"--name={impostor}"]
    result = subprocess.run([HOLDFAST, *arguments], env=environment(), stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=DEADLINE, check=False)
    text = (result.stdout + result.stderr).decode()
    assert "evil" in text and not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f]", text), text
    _, text = on_terminal(*arguments)
    own = re.sub(r"\r\033\[K|\033\[[0-9]*m|\r?\n", "", text.replace("\033[31m]", ""))
    assert "evil" in own and not re.search("[\0-\x1f\x7f-\x9f]", own), text
    assert "[31m?]0;title" in own  # with its escape character replaced
    if "json" in verb:
        json.loads(result.stdout)


def test_only_texts_of_events_have_lines(impostor):
    """In a table a newline would make a row of its own."""
    shown = subprocess.run([HOLDFAST, "history", f"--name={impostor}"], env=environment(), stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=DEADLINE, check=True).stdout
    assert len(shown.splitlines()) == 2


# ---- files ----

LOCK = "import fcntl, signal, sys\nfile = open(sys.argv[1])\nfcntl.flock(file, fcntl.LOCK_EX)\nprint(flush=True)\nsignal.pause()"


def test_no_lock_of_another_user_keeps_an_instance_from_starting(site):
    """The lock of a crashed one, as 0.1.0 left it: whoever can read it can lock it."""
    holdfast = site.holdfast()
    holdfast.stop()
    holdfast.runtime.mkdir(parents=True)
    dead = subprocess.Popen(["true"])
    dead.wait()
    path = holdfast.runtime / "lock"
    path.write_text(f"{dead.pid}\n")
    path.chmod(0o644)
    locked = Process(["setpriv", f"--reuid={ALICE}", f"--regid={ALICE}", "--clear-groups", PYTHON, "-c",
                      LOCK, path], env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert locked.popen.stdout.readline() == b"\n"
        holdfast.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.read_text() == f"{holdfast.pid}\n"
        with open(path) as own, pytest.raises(BlockingIOError):
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        locked.stop(signal.SIGKILL)
        locked.popen.stdout.close()
    holdfast.stop()


@pytest.mark.parametrize("user", [None, "www-data"])
def test_nobody_else_reads_the_overlay(make_site, user):
    """It names php-fpm's status page, which nobody is to guess. Its own user reads it again at each USR2."""
    site = make_site("unix", children=2, pool_options={"listen.mode": "0666", **({"user": None, "group": None} if user else {})})
    site.configure(error_log=site.marks / "fpm.log")
    holdfast = site.holdfast(*([f"--user={user}"] if user else []), "--probe=fastcgi:/ping")
    holdfast.replace(2)
    overlay, = holdfast.runtime.glob("gen-2*.conf")
    owner = pwd.getpwnam(user).pw_uid if user else 0
    for which in ("written", "written again"):
        assert (stat.S_IMODE(overlay.stat().st_mode), overlay.stat().st_uid) == (0o600, owner), which
        overlay.unlink()
        holdfast.settle()
    assert site.get()[0] == 200
    holdfast.stop()
