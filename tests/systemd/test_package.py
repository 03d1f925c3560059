# SPDX-License-Identifier: MIT
"""The Debian package in its life: installed, put in front of Debian's php-fpm, removed, purged."""
import os
import pathlib
import subprocess

import pytest

from conftest import DEBIANS_UNIT, masters
from harness import package as debian
from harness import process, systemd
from harness.tools import Load

PROGRAM = "/usr/bin/holdfast"
DROP_IN = pathlib.Path("/usr/share/holdfast/php8.2-fpm-holdfast.conf")
# what tests/systemd/run has installed, and what keeps packages from stopping services where no systemd runs
ASIDE = [pathlib.Path("/usr/local/bin/holdfast"), pathlib.Path("/usr/local/lib/systemd/system"),
         pathlib.Path("/usr/local/share/holdfast"), pathlib.Path("/usr/sbin/policy-rc.d")]
INSTANCE = "holdfast@packaged.service"


def dpkg(*words):
    result = subprocess.run(["dpkg", *map(str, words)], env=process.environment(DEBIAN_FRONTEND="noninteractive"),
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture
def package(tmp_path_factory):
    """Built here, and alone on the machine."""
    moved = [(path, path.with_name(f".{path.name}")) for path in ASIDE if path.exists()]
    for path, aside in moved:
        path.rename(aside)
    systemd.systemctl("daemon-reload")
    yield debian.build(tmp_path_factory.mktemp("package"))
    subprocess.run(["dpkg", "--purge", "holdfast"], env=process.environment(), capture_output=True, check=False)
    for path, aside in moved:
        aside.rename(path)
    systemd.systemctl("daemon-reload")


@pytest.fixture
def instance(units):
    """An instance of the package's template, to be started."""
    def write():
        configuration = pathlib.Path("/etc/holdfast/packaged.conf")
        configuration.write_text("command = /bin/sleep infinity\nlisten = 127.0.0.1:9812\n")
        return units.get(INSTANCE), configuration

    return write


def shown(*words):
    return systemd.systemctl(*words, "--no-legend", "--plain", "holdfast*", check=False).stdout


def program(unit):
    return os.readlink(f"/proc/{unit.main_pid()}/exe")


def test_its_life(package, units, instance, web):
    dpkg("--install", package)
    assert shown("list-units", "--all") == ""
    files = shown("list-unit-files").splitlines()
    assert files and {line.split()[1] for line in files} <= {"disabled", "static"}
    listed = dpkg("--listfiles", "holdfast").splitlines()

    units.write(f"{DEBIANS_UNIT}.d/holdfast.conf", DROP_IN.read_text())
    php = units.get(DEBIANS_UNIT)
    php.start()
    assert program(php) == PROGRAM
    load = Load(web.url, rate=100)
    for _ in range(3):
        php.reload()
    php.restart()

    other, configuration = instance()
    other.start()
    systemd.systemctl("enable", INSTANCE)
    assert program(other) == PROGRAM

    # what was put behind holdfast by hand serves on, and is named
    said = dpkg("--remove", "holdfast")
    assert f"/etc/systemd/system/{DEBIANS_UNIT}.d/holdfast.conf needs holdfast" in said
    assert other.get("ActiveState") == "inactive"
    load.assert_nothing_lost()
    print(f"the package: 3 reloads, a restart, removed, {load.result['requests']} requests, 0 failed")
    units.close()
    php = units.get(DEBIANS_UNIT)
    php.start()
    assert masters() == [php.main_pid()]
    Load(web.url).assert_nothing_lost()

    configuration.unlink()
    dpkg("--purge", "holdfast")
    kept = [path for path in listed if not os.path.isdir(path) and os.path.lexists(path)]
    assert kept == [] and not pathlib.Path("/etc/holdfast").exists()
    assert not list(systemd.SYSTEM.glob("*.wants/holdfast*"))
    assert not [pid for pid in process.pids() if process.command_line(pid).startswith(PROGRAM)]
    assert not list(pathlib.Path("/run").glob("holdfast/*"))
    assert shown("list-unit-files") == ""
