# SPDX-License-Identifier: MIT
"""The installed units are valid and as restricted as intended."""
import pathlib
import re
import subprocess

import pytest

from harness.process import environment

INSTALLED = pathlib.Path("/usr/local/lib/systemd/system")
UNITS = sorted(path.name for path in INSTALLED.glob("holdfast*"))
# those that need not be root
HARDENED = ["holdfast@.service", "holdfast-site@.service", "holdfast-exec@.service", "holdfast-recycle@.service",
            "holdfast-sweep@.service", "holdfast-metrics@.service", "holdfast-textfile.service"]
EXPOSURE_MAX = 3.0
DROP_INS = pathlib.Path("/usr/local/share/holdfast")


def run(*words):
    return subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=60, check=False)


def instance(name):
    return name.replace("@.", "@test.")


def test_every_unit_is_installed():
    assert UNITS == ["holdfast-exec@.service", "holdfast-exec@.socket", "holdfast-metrics.socket",
                     "holdfast-metrics@.service", "holdfast-recycle@.service", "holdfast-recycle@.timer",
                     "holdfast-site@.service", "holdfast-sweep@.service", "holdfast-textfile.service",
                     "holdfast-textfile.timer", "holdfast@.service", "holdfast@.socket"]


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_valid(name):
    result = run("systemd-analyze", "verify", "--man=no", instance(name))
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("name", HARDENED)
def test_a_unit_that_need_not_be_root_is_closed(name):
    result = run("systemd-analyze", "security", "--no-pager", instance(name))
    exposure = float(re.search(r"Overall exposure level for .*: ([0-9.]+)", result.stdout).group(1))
    print(f"{name}: {exposure}")
    assert exposure < EXPOSURE_MAX, result.stdout


@pytest.mark.parametrize("version", ["7.4", "8.0", "8.1", "8.2", "8.3", "8.4", "8.5"])
def test_each_php_has_its_drop_in(version):
    text = (DROP_INS / f"php{version}-fpm-holdfast.conf").read_text()
    assert f"--name=php{version}-fpm -- /usr/sbin/php-fpm{version} --nodaemonize --fpm-config " \
           f"/etc/php/{version}/fpm/php-fpm.conf\n" in text
    assert set(re.findall(r"php-?f?p?m?(\d\.\d)", text)) == {version}


@pytest.mark.parametrize("name", ["holdfast@.service", "holdfast-exec@.service"])
def test_wrong_settings_are_not_tried_again(name):
    result = run("systemctl", "show", "--property=RestartPreventExitStatus,RemoveIPC", instance(name))
    assert result.stdout.splitlines() == ["RestartPreventExitStatus=2", "RemoveIPC=no"]


def test_the_drop_in_changes_no_sandbox_setting():
    text = (DROP_INS / "php8.2-fpm-holdfast.conf").read_text()
    keys = {line.partition("=")[0] for line in text.splitlines() if "=" in line and not line.startswith("#")}
    assert keys == {"StartLimitIntervalSec", "Type", "ExecStart", "ExecReload", "Restart", "RestartSec", "RestartPreventExitStatus", "KillMode",
                    "FileDescriptorStoreMax", "RuntimeDirectory", "RuntimeDirectoryPreserve", "OOMPolicy",
                    "TimeoutStopSec", "WatchdogSec", "Wants", "PropagatesStopTo"}
