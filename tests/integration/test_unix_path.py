# SPDX-License-Identifier: MIT
"""A unix path that holdfast holds always exists."""
import json
import os
import re
import shutil
import socket

import pytest

from harness import fastcgi, words


@pytest.mark.load
def test_path_never_disappears(make_site):
    site = make_site("unix", children=2)
    holdfast = site.holdfast()
    probe = site.unix_probe()
    for number in range(2, 22):
        holdfast.reload(number)
    inode = os.stat(site.address).st_ino  # a reload switches to another side, a restart does not
    for number in range(22, 27):
        holdfast.restart()
        holdfast.wait(words.ready(number))
        # it comes after all that was queued before
        fastcgi.request(site.address, str(site.root / "hello.php"))
    result = probe.stop()
    assert result["failed"] == 0, result
    assert result["attempts"] > 500
    assert os.stat(site.address).st_ino == inode
    assert fastcgi.request(site.address, str(site.root / "hello.php"))[1].startswith("hello ")
    holdfast.stop()
    assert not os.path.lexists(site.address)


def test_stale_path_is_replaced(make_site):
    """Left by a server that was killed: nobody listens there."""
    site = make_site("unix")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(site.address)
    holdfast = site.holdfast()
    assert site.get()[0] == 200
    holdfast.stop()


def test_path_of_somebody_else_is_left_alone_at_the_end(make_site):
    """It was replaced by another process, so it must not be removed."""
    site = make_site("unix")
    holdfast = site.holdfast()
    os.unlink(site.address)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(site.address)
        inode = os.stat(site.address).st_ino
        assert holdfast.process.stop() == 0
        assert os.stat(site.address).st_ino == inode
    os.unlink(site.address)


def kinds(holdfast):
    result = holdfast.call("status", "--json")
    assert result.returncode == 0, result.stderr
    return [listener["kind"] for listener in json.loads(result.stdout)["listeners"]]


def test_path_that_another_process_has_bound_over_is_noticed(make_site):
    """The other process gets the visitors. A reload names it, and status shows that the listener is lost."""
    site = make_site("unix")
    holdfast = site.holdfast()
    assert kinds(holdfast) == ["unix"]
    os.unlink(site.address)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(site.address)
        other.listen()
        assert kinds(holdfast) == ["lost"]
        assert f"{site.address} (lost)" in holdfast.call("status").stdout
        result = holdfast.call("reload")
        assert result.returncode == words.EXIT_FAILURE
        assert re.search(rf"{site.address} is in use by python\S* \(pid {os.getpid()}, ", result.stderr)
    assert holdfast.call("reload").returncode == 0
    assert kinds(holdfast)[0] == "unix"
    assert fastcgi.request(site.address, str(site.root / "hello.php"))[1].startswith("hello ")
    holdfast.stop()


def test_directory_that_vanished_is_noticed(make_site):
    """No reload succeeds while nobody can connect; once the directory is back, a reload binds the path again."""
    site = make_site("unix")
    directory = site.directory / "run"
    directory.mkdir()
    site.pools[0].listen = site.address = str(directory / "fpm.sock")
    site.configure()
    holdfast = site.holdfast()
    shutil.rmtree(directory)
    assert kinds(holdfast) == ["lost"]
    result = holdfast.call("reload")
    assert result.returncode == words.EXIT_FAILURE
    assert f"{site.address} cannot be bound: its directory does not exist; create it" in result.stderr
    directory.mkdir()
    assert holdfast.call("reload").returncode == 0
    assert fastcgi.request(site.address, str(site.root / "hello.php"))[1].startswith("hello ")
    holdfast.stop()
