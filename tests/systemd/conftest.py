# SPDX-License-Identifier: MIT
import contextlib
import json
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from harness import process, scripts, systemd  # noqa: E402
from harness.nginx import Nginx  # noqa: E402
from harness.site import Site  # noqa: E402
from harness.wait import Ended  # noqa: E402

DROP_IN = pathlib.Path("/usr/local/share/holdfast/php8.2-fpm-holdfast.conf")
DEBIANS_UNIT = "php8.2-fpm.service"
DEBIANS_SOCKET = "/run/php/php8.2-fpm.sock"


def masters():
    """Of php-fpm. A worker has its master's title for a moment, so the parent counts."""
    titled = {pid for pid in process.pids() if process.command_line(pid).startswith("php-fpm: master")}
    return [pid for pid in titled if (process.stat(pid) or (None, pid))[1] not in titled]


def wait_until_drained():
    """Returns when no generation but the active one has a master."""
    status = subprocess.run(["/usr/local/bin/holdfast", "status", "--json"], env=process.environment(), check=True,
                            stdout=subprocess.PIPE)
    for generation in json.loads(status.stdout)["generations"]:
        if generation["state"] == "draining" and generation["pid"]:
            with contextlib.suppress(ProcessLookupError), Ended(generation["pid"]) as master:
                master.wait()


def pytest_sessionstart(session):
    if not pathlib.Path("/results").is_dir():
        pytest.exit("these tests are for a machine of their own: tests/systemd/run", 2)
    process.become_subreaper()


@pytest.fixture
def units():
    """Units that are stopped and removed with the test."""
    made = systemd.Units()
    yield made
    made.close()


@pytest.fixture
def make_site():
    sites = []

    def make(*arguments, **options):
        sites.append(Site(*arguments, **options))
        return sites[-1]

    yield make
    for site in reversed(sites):
        site.close()


@pytest.fixture
def web(tmp_path):
    """nginx in front of the distribution's pool."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.owner() == "root" and parent != pathlib.Path("/"):
            parent.chmod(0o755)
    root = tmp_path / "www"
    root.mkdir()
    (tmp_path / "marks").mkdir()
    scripts.write(root)
    nginx = Nginx(tmp_path, root, DEBIANS_SOCKET)
    yield nginx
    nginx.close()


@pytest.fixture
def php(units):
    """Debian's own unit, with holdfast put in front of it."""
    units.write(f"{DEBIANS_UNIT}.d/holdfast.conf", DROP_IN.read_text())
    unit = units.get(DEBIANS_UNIT)
    unit.start()
    return unit
