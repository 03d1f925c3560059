# SPDX-License-Identifier: MIT
"""Sandboxes and old kernels that refuse system calls: holdfast does without them if it can; otherwise one line says why not."""
import errno
import json
import os
import signal
import subprocess

import pytest

from harness import net, process, words
from harness.paths import HELPERS, HOLDFAST
from harness.process import environment
from harness.wait import Appearance

REFUSALS = {name: os.strerror(getattr(errno, name)) for name in ("EPERM", "ENOSYS")}


def refusing(error, *calls):
    return [HELPERS / "refuse.py", error, ",".join(calls), "--", HOLDFAST]


@pytest.mark.parametrize("error", REFUSALS)
def test_it_works_without(make_site, error):
    site = make_site("unix", children=4)
    holdfast = site.holdfast(wrapper=refusing(error, "close_range", "faccessat2", "pidfd_getfd"))
    assert site.get()[0] == 200
    holdfast.replace(2)
    holdfast.restart()
    assert site.get()[0] == 200
    holdfast.stop()


@pytest.mark.parametrize("error", REFUSALS)
def test_nothing_else_is_open_in_the_service(site, error):
    site.pools[:] = []
    holdfast = site.holdfast("--ready=log:runs", f"--listen=127.0.0.1:{net.free_port()}",
                             command=["perl", "-e", r"$| = 1; print qq(runs\n); sleep 300"], wrapper=refusing(error, "close_range"))
    main, = (pid for pid in process.children(holdfast.pid) if "perl" in process.command_line(pid))
    assert sorted(map(int, os.listdir(f"/proc/{main}/fd"))) == [0, 1, 2, 3]
    holdfast.stop()


@pytest.mark.parametrize("error", REFUSALS)
@pytest.mark.parametrize("call", ["pidfd_open", "pidfd_send_signal"])
def test_what_there_is_no_way_around_is_named(site, error, call):
    result = subprocess.run([*refusing(error, call), "run", f"--name={site.name}", "--", "sleep", "300"],
                            env=environment(), capture_output=True, text=True, check=False)
    assert result.returncode == words.EXIT_FAILURE
    told, = result.stderr.splitlines()
    assert f"{call}(2) is refused: {REFUSALS[error]}; holdfast needs Linux 5.11" in told


def test_a_service_of_many_groups(make_site):
    """/proc/PID/status is longer than a page then: its log is reopened, its memory is known."""
    site = make_site(children=2)
    code = "import os, sys; os.setgroups(range(1000, 1900)); os.execvp(sys.argv[1], sys.argv[1:])"
    program = site.directory / "php-fpm-groups"
    program.write_text(f'#!/bin/sh\nexec python3 -c "{code}" php-fpm8.2 "$@"\n')
    program.chmod(0o755)
    holdfast = site.holdfast("--ready=pidfile", command=[program, "-y", site.configuration_path])
    site.error_log.rename(site.error_log.with_suffix(".1"))
    with Appearance(site.error_log) as reopened:
        holdfast.send(signal.SIGUSR1)
        reopened.wait()
    generation, = json.loads(holdfast.call("status", "--json").stdout)["generations"]
    assert generation["memory"] > 0
    holdfast.stop()
