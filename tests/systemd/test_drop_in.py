# SPDX-License-Identifier: MIT
"""Debian's own php8.2-fpm.service, with holdfast put in front of it as the README says."""
import pathlib

from harness import process
from harness.tools import Load


def generation(unit):
    """Pid of the php-fpm master that serves."""
    masters = [pid for pid in process.children(unit.main_pid()) if "php-fpm: master" in process.command_line(pid)]
    return max(masters)


def test_reload_loses_nothing(php, web):
    holdfast = php.main_pid()
    load = Load(web.url, rate=200)
    for _ in range(5):
        before = generation(php)
        php.reload()
        assert generation(php) != before
    load.assert_nothing_lost()
    print(f"drop-in: 5 reloads, {load.result['requests']} requests, 0 failed")
    assert php.main_pid() == holdfast
    assert "generation 6" in php.get("StatusText")


def test_stop_leaves_nothing(php, web):
    load = Load(web.url, rate=50)
    load.stop()
    php.stop()
    assert php.get("ActiveState") == "inactive"
    assert php.get("Result") == "success"
    assert not pathlib.Path("/run/holdfast/php8.2-fpm").exists()
    assert not [pid for pid in process.pids() if "php-fpm" in process.command_line(pid)]
