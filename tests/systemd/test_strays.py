# SPDX-License-Identifier: MIT
"""holdfast is killed and systemd's fd store kept nothing: the next one starts beside the processes that are left."""
import pytest

from harness import systemd
from harness.process import children, command_line
from harness.tools import Load
from harness.wait import Ended


def masters(unit):
    return [pid for pid in children(unit.main_pid()) if "php-fpm: master" in command_line(pid)]


@pytest.fixture
def forgetful(units, php):
    """Debian's unit with holdfast in front and no room in the store."""
    units.drop_in(php.name, "[Service]\nFileDescriptorStoreMax=0\n")
    php.stop()
    php.start()
    return php


def test_start_without_a_store(forgetful, web):
    load = Load(web.url, rate=100)
    for _ in range(3):
        master, = masters(forgetful)
        with Ended(master) as old:
            systemd.systemctl("kill", "--kill-whom=main", "--signal=KILL", forgetful.name)
            old.wait()  # by the next one, once it serves
        assert f"is copied out of pid {master}" in forgetful.journal()
    load.assert_nothing_lost()
    print(f"strays: 3 starts without a store, {load.result['requests']} requests, 0 failed")
