# SPDX-License-Identifier: MIT
"""The benchmark: each contender serves, is replaced, and leaves nothing; its figures are counted right."""
import json
import os
import subprocess
import sys

import pytest

from harness.paths import HOLDFAST, ROOT
from harness.process import environment

BENCH = ROOT / "tests" / "bench"
sys.path.append(str(BENCH))

import contenders  # noqa: E402
import ledger  # noqa: E402
from contenders.held import Held  # noqa: E402

pytestmark = pytest.mark.load

KINDS = [pytest.param(kind, id=kind.name, marks=[] if issubclass(kind, Held) else [pytest.mark.plain])
         for kind in contenders.ALL]


def entry(at, latency, *, slow=False, status=200, error=None):
    return {"at": at, "latency": latency, "slow": slow, "status": status, "error": error}


@pytest.mark.plain
def test_what_the_figures_count():
    figures = ledger.figures([
        entry(0.5, 9),  # before it began
        entry(1, 0.1), entry(2, 0.3), entry(3, 5, slow=True), entry(4, 0.1, status=502),
        entry(5, 0.1, slow=True, status=0, error="ECONNRESET"), entry(9, 9)], 1, 7)
    assert (figures["requests"], figures["failed"], figures["failed_long"]) == (5, 2, 1)
    assert figures["failures"] == {"502": 1, "ECONNRESET": 1} and figures["first"] == {"502": 3, "ECONNRESET": 4}
    assert ledger.told(figures) == "; 1 × 502, the first after 3.00 s; 1 × ECONNRESET, the first after 4.00 s"
    assert figures["slowest"] == 0.3
    assert figures["gap"] == pytest.approx(7 - 2.3)


@pytest.mark.plain
def test_failures_are_counted_by_kind():
    entries = [entry(at, 0.1, status=0, error="timeout") for at in (9, 7, 8)]
    entries += [entry(1, 0.1), *(entry(2, 0.1, status=500 + number) for number in range(30))]
    found = ledger.failures(entries, 1)
    assert found["failures"]["timeout"] == 3 and found["first"]["timeout"] == 6
    assert sum(found["failures"].values()) == 33 and len(found["failures"]) == ledger.KINDS + 1
    assert found["failures"]["others"] == 31 - ledger.KINDS and found["first"]["others"] == 1
    assert ledger.failures(entries[3:4], 1) == {"failures": {}, "first": {}} and not ledger.told({"failures": {}})


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_contender(kind, unix, tmp_path):
    told = tmp_path / "figures.json"
    worker = {name: value for name, value in os.environ.items() if name.startswith("PYTEST_XDIST_")}
    result = subprocess.run(
        [BENCH / "run", f"--only={kind.name}", "--rounds=1", "--replacements=1", "--interval=2", "--rate=50",
         "--no-cost", f"--json={told}", *(["--unix"] if unix else [])],
        env=environment(HOLDFAST=str(HOLDFAST), **worker), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    figures = json.loads(told.read_text())["contenders"][kind.name]["median"]
    assert figures["requests"] >= 90
    assert figures["replacements"] == (1 if kind.replaces else 0)
    if issubclass(kind, Held) or not kind.replaces:
        assert figures["failed"] == 0, figures["failures"]


def test_the_scale(tmp_path):
    told = tmp_path / "figures.json"
    result = subprocess.run(
        [BENCH / "scale", "--most=10", "--runs=1", f"--json={told}", f"--picture={tmp_path}/scale"],
        env=environment(HOLDFAST=str(HOLDFAST)), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    figures = json.loads(told.read_text())["figures"]
    assert set(figures["pools"]) == set(figures["listeners"]) == {"1", "10"}
    assert figures["listeners"]["10"]["started"]["threads"] == 1
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG") and "<svg" in (tmp_path / "scale.svg").read_text()


@pytest.mark.long(26)
def test_the_cost_and_wrk_beside_it(tmp_path):
    told = tmp_path / "figures.json"
    result = subprocess.run(
        [BENCH / "run", "--only=no restarts", "--rounds=1", "--replacements=1", "--interval=1", "--rate=50", "--idle=1",
         "--starts=3", "--wrk=1", f"--json={told}"],
        env=environment(HOLDFAST=str(HOLDFAST)), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    figures = json.loads(told.read_text())
    floor = figures["contenders"]["no restarts"]["median"]
    assert floor["wrk_requests"] > 0 and floor["wrk_failed"] == 0
    assert figures["cost"]["resident"]["descriptors_grown"] == 0
    assert set(figures["cost"]["others"]) == {"start_server", "supervisord"}
    assert figures["cost"]["swaps"]["held"] > 0
    assert figures["cost"]["processor"]["reload"] < 3 * figures["cost"]["processor"]["alone"]


def test_a_real_application(tmp_path):
    told = tmp_path / "figures.json"
    result = subprocess.run(
        [BENCH / "run", "--application", "--only=holdfast reload", "--replacements=1", "--interval=4", "--rate=5",
         f"--json={told}"], env=environment(HOLDFAST=str(HOLDFAST)), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    figures = json.loads(told.read_text())["application"]["holdfast reload"]
    assert figures["all"]["requests"] >= 19 and figures["all"]["failed"] == figures["after"]["failed"] == 0


def test_that_a_switch_is_atomic(tmp_path):
    told = tmp_path / "figures.json"
    result = subprocess.run([BENCH / "run", "--atomic", "--replacements=5", "--rate=200", f"--json={told}"],
                            env=environment(HOLDFAST=str(HOLDFAST)), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for figures in json.loads(told.read_text())["atomic"].values():
        assert figures["went_back"] == figures["failed"] == 0 and figures["versions"] >= 3
