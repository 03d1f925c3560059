# SPDX-License-Identifier: MIT
"""holdfast takes over from the distribution's php8.2-fpm.service while that serves."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from harness.process import environment
from harness.tools import Load
from harness.wait import Ended

SOCKET = "/run/php/php8.2-fpm.sock"
OLD = "php8.2-fpm.service"
NEW = "live.service"
CONFIGURATION = pathlib.Path("/etc/php/8.2/fpm/php-fpm.conf")

SERVICE = """\
[Service]
Type=notify
ExecStart=/usr/local/bin/holdfast run --name=live --take-over -- /usr/sbin/php-fpm8.2
ExecReload=/usr/local/bin/holdfast reload --name=live
KillMode=mixed
"""


@pytest.fixture
def set_timeout():
    """Sets process_control_timeout for the time of the test."""
    before = CONFIGURATION.read_text()

    def change(value):
        text = re.sub(r"(?m)^;?process_control_timeout\b.*\n", "", before)
        CONFIGURATION.write_text(text.replace("[global]", f"[global]\nprocess_control_timeout = {value}"))

    yield change
    CONFIGURATION.write_text(before)


@pytest.fixture
def commands():
    """Runs what holdfast printed, and takes it back at the end."""
    def run(text):
        lines = [line.strip() for line in text.splitlines() if line.startswith("  ")]
        script = "\n".join(lines[-3:])
        subprocess.run(["/bin/sh", "-ec", script], env=environment(), check=True)

    yield run
    shutil.rmtree(f"/run/systemd/system/{OLD}.d", ignore_errors=True)


@pytest.mark.parametrize("timeout", ["0", "30s"])
def test_of_the_distributions_service(units, web, set_timeout, commands, timeout):
    set_timeout(timeout)
    old = units.get(OLD)
    old.start()
    master = old.main_pid()
    taken = os.stat(SOCKET)
    units.write(NEW, SERVICE)
    new = units.get(NEW)
    load = Load(web.url, rate=200)

    # It would be started again, and its socket removed: nothing is touched, and what helps is told.
    with pytest.raises(AssertionError):
        new.start()
    told = new.journal()
    assert f"pid {master} belongs to the systemd unit {OLD}" in told
    assert old.main_pid() == master and old.get("ActiveState") == "active"
    commands(told)

    with Ended(master) as ended:
        new.start()
        ended.wait()
    assert os.stat(SOCKET).st_ino == taken.st_ino
    # The socket that was taken is one side of several: each other one has its rights.
    side = taken
    for _ in range(2):
        before = side.st_ino
        new.reload()
        side = os.stat(SOCKET)
        assert side.st_ino != before
        assert (side.st_mode, side.st_uid, side.st_gid) == (taken.st_mode, taken.st_uid, taken.st_gid)
    load.assert_nothing_lost()
    print(f"take-over, timeout {timeout}: {load.result['requests']} requests, 0 failed")
    assert old.get("NRestarts") == "0"
    assert pathlib.Path("/run/php/php8.2-fpm.pid").read_text().strip() == str(new.main_pid())
    new.stop()
    assert new.get("Result") == "success"
