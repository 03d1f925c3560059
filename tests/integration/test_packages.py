# SPDX-License-Identifier: MIT
"""examples/quickstart/packages starts and enables nothing. Nothing is installed: apt-get, dpkg-query and systemctl are
not the real ones, in mounts that nobody else sees."""
import subprocess

import pytest

from harness.paths import ROOT
from harness.process import environment
from harness.wait import DEADLINE

pytestmark = pytest.mark.plain

MOUNTS = """
set -e
mount --bind "$0/programs" /usr/local/sbin
mount --bind "$0/units" /usr/lib/systemd/system
mount -t tmpfs tmpfs "$0/layers"
mkdir "$0/layers/upper" "$0/layers/work"
mount -t overlay -o "lowerdir=/usr/sbin,upperdir=$0/layers/upper,workdir=$0/layers/work" overlay /usr/sbin
echo '# mine' >/usr/sbin/policy-rc.d
"$@"
cat /usr/sbin/policy-rc.d
"""

PROGRAMS = {
    "dpkg-query": "exit 1",
    "systemctl": 'echo "$*" >>LOG',
    "apt-get": """
[ "$1" = install ] || exit 0
/usr/sbin/policy-rc.d
echo "policy $?" >>LOG
touch /usr/lib/systemd/system/{NEW}.service
""",
}

SERVERS = {"nginx", "apache2", "lighttpd", "haproxy", "caddy", "php8.2-fpm", "prometheus", "prometheus-node-exporter",
           "supervisor"}


@pytest.fixture
def machine(tmp_path):
    for name in ("programs", "units", "layers"):
        (tmp_path / name).mkdir()
    units = ",".join(sorted(SERVERS | {"ssh"}))
    for name, text in PROGRAMS.items():
        path = tmp_path / "programs" / name
        path.write_text("#!/bin/bash\n" + text.replace("LOG", str(tmp_path / "log")).replace("NEW", units))
        path.chmod(0o755)
    return tmp_path


def install(machine, *packages):
    """Lines of the log."""
    run = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNTS, machine,
                          ROOT / "examples" / "quickstart" / "packages", *packages], env=environment(),
                         capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith("# mine\n")
    return (machine / "log").read_text().splitlines()


def test_services_of_new_packages_are_neither_started_nor_enabled(machine):
    assert set(install(machine, "lighttpd")) == {"policy 101", *(f"disable --quiet {name}.service" for name in SERVERS)}


def test_services_that_were_there_stay_as_they_are(machine):
    (machine / "units" / "nginx.service").touch()
    assert set(install(machine, "lighttpd")) == {
        "policy 101", *(f"disable --quiet {name}.service" for name in SERVERS - {"nginx"})}
