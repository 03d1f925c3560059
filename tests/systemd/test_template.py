# SPDX-License-Identifier: MIT
"""holdfast@NAME: a service that is not root, described by /etc/holdfast/NAME.conf."""
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import urllib.request

import pytest

from harness import fastcgi, systemd
from harness.lines import Lines
from harness.paths import HELPERS, PYTHON, ROOT
from harness.process import Process, environment
from harness.wait import DEADLINE

NAME = "app"
DIRECTORY = pathlib.Path("/etc/holdfast")
SERVER = HELPERS / "listen_fds_server.py"


def ask(address):
    with fastcgi.connect(address) as connection, connection.makefile() as stream:
        return json.loads(stream.read())


def holdfast(*words, user=None):
    identity = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    return subprocess.run(["/usr/local/bin/holdfast", *words], env=environment(), capture_output=True, text=True,
                          check=False, **identity)


@pytest.fixture
def app(units):
    """address: of its one listener."""
    def start(text, *, socket=None):
        DIRECTORY.mkdir(exist_ok=True)
        # below /usr, as the unit's sandbox sees it
        shutil.copy(SERVER, "/usr/local/bin/listen-fds-server")
        (DIRECTORY / f"{NAME}.conf").write_text(f"command = {PYTHON} /usr/local/bin/listen-fds-server\nready = notify\n{text}")
        if socket:
            units.drop_in(f"holdfast@{NAME}.socket", f"[Socket]\nListenStream=\nListenStream={socket}\n")
            units.get(f"holdfast@{NAME}.socket").start()
            return units.get(f"holdfast@{NAME}.service")
        unit = units.get(f"holdfast@{NAME}.service")
        unit.start()
        return unit

    yield start
    shutil.rmtree(DIRECTORY)


def test_it_runs_as_another_user_and_is_replaced(app):
    unit = app("listen = 127.0.0.1:9811\n")
    first = ask("127.0.0.1:9811")["pid"]
    assert pathlib.Path(f"/proc/{first}").owner() == "www-data"
    unit.reload()
    assert ask("127.0.0.1:9811")["pid"] != first
    shown = json.loads(holdfast("status", f"--name={NAME}", "--json").stdout)
    assert shown["name"] == NAME
    # the user that it runs as may look, too; nobody else
    assert holdfast("status", f"--name={NAME}", user="www-data").returncode == 0
    assert holdfast("status", f"--name={NAME}", user="nobody").returncode == 4
    assert unit.get("StatusText").startswith("generation 2 active")
    unit.stop()
    assert unit.get("Result") == "success"
    assert not os.path.exists(f"/run/holdfast/{NAME}")


def test_its_socket_may_be_systemds(app):
    unit = app("", socket="/run/app.sock")
    assert unit.get("ActiveState") == "inactive"
    first = ask("/run/app.sock")
    assert first["name"] == NAME
    unit.stop()
    second = ask("/run/app.sock")
    assert second["pid"] != first["pid"]


def test_a_mistake_in_the_file_is_in_the_journal(app, units):
    DIRECTORY.mkdir()
    (DIRECTORY / f"{NAME}.conf").write_text("command = /bin/true\nlisten = 127.0.0.1:9811\ndrain-timout = 3s\n")
    units.drop_in(f"holdfast@{NAME}.service", "[Service]\nRestart=no\n")
    unit = units.get(f"holdfast@{NAME}.service")
    assert systemd.systemctl("start", unit.name, check=False).returncode != 0
    assert f"{DIRECTORY}/{NAME}.conf:3: " in unit.journal()
    assert "drain-timeout" in unit.journal()


def test_the_recycle_timer_reloads(app, units):
    app("listen = 127.0.0.1:9811\n")
    first = ask("127.0.0.1:9811")["pid"]
    units.drop_in(f"holdfast-recycle@{NAME}.timer",
                  "[Timer]\nOnActiveSec=\nOnActiveSec=100ms\nRandomizedDelaySec=0\nAccuracySec=1ms\n")
    recycle = units.get(f"holdfast-recycle@{NAME}.service")
    with subprocess.Popen(systemd.following(f"--unit=holdfast@{NAME}.service"), stdout=subprocess.PIPE, text=True,
                          env=environment()) as journal:
        timer = units.get(f"holdfast-recycle@{NAME}.timer")
        timer.start()
        assert any("reload: generation 2 is active" in line for line in journal.stdout)
        journal.kill()
    assert ask("127.0.0.1:9811")["pid"] != first
    assert recycle.get("Result") == "success"


def test_a_start_that_fails_is_tried_later_and_later(app, units):
    """systemd 252 has no RestartSteps=: it would start it ten times a second, for ever."""
    unit = units.get(f"holdfast@{NAME}.service")
    DIRECTORY.mkdir(exist_ok=True)
    configuration = DIRECTORY / f"{NAME}.conf"
    configuration.write_text("command = php-fpm8.2 -y /etc/holdfast/missing.conf\n")
    follow = Process(systemd.following("SYSLOG_IDENTIFIER=holdfast"), env=environment(), stdin=subprocess.DEVNULL,
                     stdout=subprocess.PIPE)
    try:
        lines = Lines(follow.popen.stdout)
        systemd.systemctl("start", "--no-block", unit.name)
        lines.wait("the first start has failed 5 times in a row: holdfast ends in 800 ms")
        assert int(unit.get("NRestarts")) <= 5
        systemd.systemctl("stop", unit.name)  # at once, and the next one begins anew
        assert unit.get("ActiveState") in ("inactive", "failed")
        since = len(lines.list)
        systemd.systemctl("start", "--no-block", unit.name)
        lines.wait("the first start has failed 2 times in a row: holdfast ends in 100 ms", since)
    finally:
        unit.stop()
        follow.stop()


def test_the_journal_has_fields(app):
    """What a line is about can be asked for: journalctl HOLDFAST_NAME=app HOLDFAST_GENERATION=2."""
    unit = app("listen = 127.0.0.1:9815\n")
    unit.reload()
    subprocess.run(["journalctl", "--sync"], env=environment(), check=True, timeout=DEADLINE)

    def lines(*fields):
        shown = subprocess.run(["journalctl", "--output=json", "--no-pager", *fields], env=environment(), check=True,
                               capture_output=True, text=True, timeout=DEADLINE).stdout
        return [json.loads(line) for line in shown.splitlines()]

    second = lines(f"HOLDFAST_NAME={NAME}", "HOLDFAST_GENERATION=2", f"_PID={unit.main_pid()}")
    assert any("generation 2 is active" in line["MESSAGE"] for line in second)
    assert all(line["SYSLOG_IDENTIFIER"] == "holdfast" and line["_SYSTEMD_UNIT"] == unit.name for line in second)
    identifier = next(line["MESSAGE_ID"] for line in second if "is active" in line["MESSAGE"])
    assert identifier in {line["MESSAGE_ID"] for line in lines(f"HOLDFAST_NAME={NAME}", f"MESSAGE_ID={identifier}")}
    assert f"{identifier}" in pathlib.Path(f"{ROOT}/src/man/holdfast.1.scd").read_text()


def test_the_metrics_socket_is_scraped(app, units):
    """Nothing runs before or after a scrape."""
    app("listen = 127.0.0.1:9811\n")
    socket = units.get("holdfast-metrics.socket")
    socket.start()
    for number in (1, 2):
        with urllib.request.urlopen("http://127.0.0.1:9963/metrics", timeout=30) as answer:
            assert f'holdfast_generation{{name="{NAME}"}} 1\n' in answer.read().decode()
        assert socket.get("NAccepted") == str(number)


def test_the_textfile_timer_writes_figures(app, units):
    app("listen = 127.0.0.1:9811\n")
    directory = pathlib.Path("/var/lib/prometheus/node-exporter")
    directory.mkdir(parents=True, exist_ok=True)
    systemd.systemctl("start", units.get("holdfast-textfile.service").name)
    path = directory / "holdfast.prom"
    assert f'holdfast_generation{{name="{NAME}"}} 1\n' in path.read_text()
    assert path.stat().st_mode & 0o7777 == 0o644 and [path] == list(directory.glob("holdfast.prom*"))
    path.unlink()
