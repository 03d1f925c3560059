# SPDX-License-Identifier: MIT
"""More callers at once than can wait: each of them gets its own result."""
import subprocess

from harness.paths import HOLDFAST
from harness.process import environment
from harness.wait import DEADLINE

CROWD = 90


def test_a_crowd_of_callers(site):
    instance = site.holdfast()
    callers = [subprocess.Popen([HOLDFAST, "reload", f"--name={site.name}"], env=environment(), stdin=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True) for _ in range(CROWD)]
    answers = [(caller.communicate(timeout=DEADLINE)[1], caller.returncode) for caller in callers]
    refused = [(text, status) for text, status in answers if status != 0]
    assert len(refused) < CROWD
    assert all(status == 1 and "too many requests are waiting already" in text for text, status in refused), refused
    assert instance.call("reload").returncode == 0
