# SPDX-License-Identifier: MIT
"""One instance per tenant, and one under a user's own systemd: examples/sites, as docs/instances.md describes."""
import json
import os
import pathlib
import pwd
import shutil
import subprocess

import pytest

from harness import fastcgi, process
from harness.paths import HELPERS, PYTHON, ROOT
from harness.process import environment
from harness.wait import DEADLINE, Ended

SITES = ROOT / "examples" / "sites"
TENANT = "holdfast-alice"
CONFIGURATION = pathlib.Path("/etc/holdfast")


def run(*words, check=True, **more):
    result = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=DEADLINE, check=False, env=environment(**more.pop("env", {})), **more)
    assert not check or result.returncode == 0, f"{words}: {result.stdout}{result.stderr}"
    return result


@pytest.fixture
def alice():
    run("useradd", "--create-home", "--shell=/bin/sh", TENANT)
    yield pwd.getpwnam(TENANT)
    run("userdel", "--force", "--remove", TENANT, check=False)


def as_user(account, *words, check=True):
    runtime = f"/run/user/{account.pw_uid}"
    return run(*words, check=check, env={"HOME": account.pw_dir, "XDG_RUNTIME_DIR": runtime}, cwd=account.pw_dir,
               user=account.pw_uid, group=account.pw_gid, extra_groups=[])


def ask_php(socket, script):
    return run("/usr/local/bin/holdfast", "probe", f"--fastcgi={script}", socket)


def test_one_instance_a_tenant(alice, units):
    CONFIGURATION.mkdir(exist_ok=True)
    for name, end in ("tenant.conf", ".conf"), ("tenant.fpm.conf", ".fpm.conf"):
        (CONFIGURATION / f"{TENANT}{end}").write_text((SITES / name).read_text().replace("TENANT", TENANT))
    page = pathlib.Path(alice.pw_dir) / "page.php"
    page.write_text("<?php echo getmypid();")
    os.chmod(alice.pw_dir, 0o755)
    unit = units.get(f"holdfast-site@{TENANT}.service")
    try:
        unit.start()
        socket = f"/run/holdfast/{TENANT}/php.sock"
        ask_php(socket, page)
        assert pathlib.Path(f"/proc/{unit.main_pid()}").owner() == TENANT
        run("/usr/local/bin/holdfast", "probe", f"--fastcgi={page}", socket, user="www-data", group="www-data",
            extra_groups=[])
        assert run("/usr/local/bin/holdfast", "probe", socket, check=False, user="nobody", group="nogroup",
                   extra_groups=[]).returncode != 0
        # the tenant reloads by itself, another user does not
        as_user(alice, "/usr/local/bin/holdfast", "reload", f"--name={TENANT}")
        assert run("/usr/local/bin/holdfast", "reload", f"--name={TENANT}", check=False, user="nobody", group="nogroup",
                   extra_groups=[]).returncode != 0
        ask_php(socket, page)
        assert unit.get("StatusText").startswith("generation 2 active")
        unit.reload()
        ask_php(socket, page)
    finally:
        unit.stop()
        shutil.rmtree(CONFIGURATION)
    assert unit.get("Result") == "success"


def test_a_user_without_root(alice, units):
    home = pathlib.Path(alice.pw_dir)
    own = home / ".config" / "holdfast"
    own.mkdir(parents=True)
    shutil.copy(HELPERS / "listen_fds_server.py", home / "server")
    (own / "app.conf").write_text(f"command = {PYTHON} {home}/server\nready = notify\nlisten = 127.0.0.1:9817\n")
    run("chown", "-R", f"{TENANT}:", home)
    manager = units.get(f"user@{alice.pw_uid}.service")
    manager.start()

    def systemctl(*words):
        return as_user(alice, "systemctl", "--user", *words)

    def answering():
        with fastcgi.connect("127.0.0.1:9817") as connection, connection.makefile() as stream:
            return json.loads(stream.read())["pid"]

    unit = "holdfast@app.service"
    systemctl("enable", "--now", unit)
    first = answering()
    systemctl("reload", unit)
    second = answering()
    assert second != first
    # killed, it is started again with its sockets, and adopts what runs
    launcher = int(systemctl("show", "--property=MainPID", "--value", unit).stdout)
    with Ended(launcher) as ended:
        os.kill(launcher, 9)
        ended.wait()
    systemctl("start", unit)  # which is on its way: returns when it is ready
    assert answering() == second
    as_user(alice, "/usr/local/bin/holdfast", "reload", "--name=app")
    assert answering() != second
    systemctl("stop", unit)
    assert systemctl("show", "--property=Result", "--value", unit).stdout.strip() == "success"
    assert not process.stat(second)
