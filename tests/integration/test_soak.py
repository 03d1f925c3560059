# SPDX-License-Identifier: MIT
"""The soak: a few seconds of it pass, and a request that fails without a reason makes it fail."""
import os
import re
import subprocess
import sys

import pytest

from harness.paths import HOLDFAST, ROOT
from harness.process import environment


sys.path.append(str(ROOT / "tests" / "helpers"))

from soak import series  # noqa: E402

pytestmark = pytest.mark.load


def soak(*words):
    worker = {name: value for name, value in os.environ.items() if name.startswith("PYTEST_XDIST_")}
    return subprocess.run([ROOT / "tests" / "soak", *words], env=environment(HOLDFAST=str(HOLDFAST), **worker),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def test_it_passes():
    result = soak("--seconds=8", "--seed=1")
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"answered +[1-9]", result.stdout) and re.search(r"unexplained +0\n", result.stdout)
    assert re.search(r"live blocks +\d+ -> \d+, at most \d+\n", result.stdout)


def test_a_failure_without_a_reason_is_reported(tmp_path):
    result = soak("--seconds=1", "--seed=2", "--unnoted-kill", f"--logs={tmp_path}")
    assert result.returncode == 1, result.stdout + result.stderr
    assert re.search(r"WRONG: p[oa]\d+ failed, and nobody had killed its worker: status 502", result.stdout)
    assert "seed 2" in result.stdout and (tmp_path / "holdfast.log").exists()


@pytest.mark.parametrize("service", ["small", "php-fpm"])
def test_a_series_passes(service):
    result = soak("--reloads=5", "--restarts=3", f"--service={service}", "--growth=10000")
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"failed +0\n", result.stdout)


@pytest.mark.plain
def test_what_a_series_finds():
    before = {"descriptors": 11, series.MEMORY: 400, "children": 1, "zombies": 0, "file names": ["lock"]}
    assert not series.growth(before, {**before, series.MEMORY: 500}, 100)
    worse = {"descriptors": 12, series.MEMORY: 501, "children": 2, "zombies": 1, "file names": ["lock", "gen-N.conf"]}
    assert len(series.growth(before, worse, 100)) == len(worse)
