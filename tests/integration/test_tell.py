# SPDX-License-Identifier: MIT
"""What holdfast reports to the supervisor above it."""
import os
import re
import signal

import pytest

from harness.holdfast import Holdfast
from harness.sleeper import sleeper
from harness.wait import fill

SECOND = "STATUS=generation 2 active"


def statuses(site):
    return [line for message in site.notify.messages for line in message.split("\n") if line.startswith("STATUS=")]


def test_a_reload_and_a_stop_are_told(site):
    instance = site.holdfast()
    instance.replace(2)
    ended = instance.process.ended
    site.notify.wait("RELOADING=1", ended)
    assert re.search(r"^MONOTONIC_USEC=\d+$", site.notify.messages[-1], re.M)
    site.notify.wait("READY=1", ended)
    assert statuses(site)[-1].startswith(SECOND)
    assert re.search(r", queue 0/\d+$", statuses(site)[-1])
    instance.stop()
    while not site.notify.messages[-1].startswith("STOPPING=1"):
        site.notify.messages.append(site.notify.socket.recv(65536).decode())


def test_a_trial_is_part_of_the_reload(site):
    """READY=1 is sent after the switch."""
    os.mkfifo(site.directory / "go")
    instance = site.holdfast("--canary=exec:cat go", f"--directory={site.directory}")
    instance.send(signal.SIGHUP)
    site.notify.wait("RELOADING=1", instance.process.ended)
    with open(site.directory / "go", "w"):  # the canary has it open, too
        pass
    site.notify.wait("READY=1", instance.process.ended)
    assert statuses(site)[-1].startswith(SECOND)
    instance.stop()


def test_a_failed_reload_is_ready_again(site):
    instance = site.holdfast("--preflight=test ! -e broken", f"--directory={site.directory}")
    (site.directory / "broken").touch()
    failed = instance.call("reload")
    assert failed.returncode == 1
    ended = instance.process.ended
    site.notify.wait("RELOADING=1", ended)
    site.notify.wait("READY=1", ended)
    assert statuses(site)[-1].startswith("STATUS=generation 1 active")


def test_nobody_reads(site):
    """A supervisor that does not read its queue does not stop the holdfast below it."""
    instance = sleeper(site, "--handover=at-once")
    for number in range(2, 42):
        instance.reload(number)
    instance.stop()


def test_ready_waits_for_a_supervisor_that_does_not_read(make_site):
    site = make_site(children=1)
    instance = Holdfast(site, (), None)
    site._closing.append(instance.close)
    fill(site.notify.path)
    instance.launch()
    instance.wait("generation 1 is ready")
    instance.settle()
    site.notify.wait("READY=1", instance.process.ended)
    assert statuses(site)[-1].startswith("STATUS=generation 1 active")
    fill(site.notify.path)
    instance.replace(2)
    instance.settle()
    site.notify.wait("RELOADING=1", instance.process.ended)  # Type=notify-reload waits for both
    site.notify.wait("READY=1", instance.process.ended)
    instance.stop()
