# SPDX-License-Identifier: MIT
"""systemctl sees the same service while another holdfast takes over."""
import os
import pathlib
import shutil
import subprocess

from harness.process import environment
from harness.tools import Load

PROGRAM = pathlib.Path("/usr/local/bin/holdfast")


def upgrade():
    return subprocess.run([PROGRAM, "upgrade", "--name=php8.2-fpm"], env=environment(), capture_output=True, text=True,
                          check=False)


def replace_program(text):
    """As a package does: another file under the same name."""
    new = PROGRAM.with_suffix(".new")
    new.write_bytes(text)
    shutil.copymode(PROGRAM, new)
    os.rename(new, PROGRAM)


def test_a_newer_and_a_broken_program(php, web):
    good = PROGRAM.read_bytes()
    pid = php.main_pid()
    before = os.stat(f"/proc/{pid}/exe").st_ino
    load = Load(web.url, rate=200)
    replace_program(good)
    assert upgrade().returncode == 0
    now = os.stat(f"/proc/{pid}/exe").st_ino
    assert now != before
    replace_program(b"#!/bin/sh\nexit 3\n")
    broken = subprocess.run([f"/proc/{pid}/exe", "upgrade", "--name=php8.2-fpm"], env=environment(),
                            capture_output=True, text=True, check=False)
    assert broken.returncode == 1, broken.stderr
    assert os.stat(f"/proc/{pid}/exe").st_ino == now
    replace_program(good)
    php.reload()
    load.assert_nothing_lost()
    print(f"upgrade: {load.result['requests']} requests, 0 failed")
    assert php.main_pid() == pid
    assert php.get("NRestarts") == "0"
