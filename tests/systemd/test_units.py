"""What is installed is valid, and as closed as it says."""
import pathlib
import re
import subprocess

import pytest

from harness.process import environment

INSTALLED = pathlib.Path("/usr/local/lib/systemd/system")
UNITS = sorted(path.name for path in INSTALLED.glob("holdfast*"))
# those that need not be root
HARDENED = ["holdfast@.service", "holdfast-recycle@.service", "holdfast-sweep@.service"]
EXPOSURE_MAX = 3.0


def run(*words):
    return subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=60, check=False)


def instance(name):
    return name.replace("@.", "@test.")


def test_every_unit_is_installed():
    assert UNITS == ["holdfast-exec@.service", "holdfast-exec@.socket", "holdfast-recycle@.service",
                     "holdfast-recycle@.timer", "holdfast-sweep@.service", "holdfast@.service", "holdfast@.socket"]


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


def test_the_drop_in_changes_no_sandbox_setting():
    text = pathlib.Path("/usr/local/share/holdfast/php8.2-fpm-holdfast.conf").read_text()
    keys = {line.partition("=")[0] for line in text.splitlines() if "=" in line and not line.startswith("#")}
    assert keys == {"StartLimitIntervalSec", "Type", "ExecStart", "ExecReload", "Restart", "RestartSec", "KillMode",
                    "FileDescriptorStoreMax", "RuntimeDirectory", "RuntimeDirectoryPreserve", "OOMPolicy",
                    "TimeoutStopSec", "WatchdogSec", "Wants", "PropagatesStopTo"}
