# SPDX-License-Identifier: MIT
"""A new kind of server and a new handoff take one file, and no change elsewhere."""
import re
import shutil
import signal
import socket
import threading

import pytest

from harness import process, words
from harness.holdfast import call
from harness.paths import HELPERS, HOLDFAST, PHP_FPM, SOURCE
from harness.wait import DEADLINE

TOY = HOLDFAST.parent.parent / "tests" / "holdfast-toy"
SERVER = HELPERS / "toy_server.py"


def ask(path):
    """[number of the generation, pid] that answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE)
        connection.connect(str(path))
        word, number, pid = connection.makefile().read().split()
    assert word == "toy"
    return int(number), int(pid)


class Asking:
    """Asks again and again in the background."""

    def __init__(self, path):
        self.numbers, self.problem, self.enough = [], None, threading.Event()
        self.thread = threading.Thread(target=self.run, args=(path,))
        self.thread.start()

    def run(self, path):
        try:
            while not self.enough.wait(0.005):
                self.numbers.append(ask(path)[0])
        except Exception as problem:  # pylint: disable=broad-exception-caught
            self.problem = problem

    def stop(self):
        self.enough.set()
        self.thread.join()
        assert self.problem is None, self.problem
        return self.numbers


def toy(site, *options):
    """A holdfast that knows toys, and where its toy listens."""
    path = site.directory / "toy.sock"
    return site.holdfast(*options, command=[SERVER, path], wrapper=(TOY,)), path


@pytest.mark.long(25)
def test_a_toy_starts_and_reloads(site):
    """It is recognised, asked for its listeners and its verdict, gets its overlay and its handoff, and is seen to be
    ready by its pid file."""
    holdfast, path = toy(site)
    assert ask(path)[0] == 1
    asking = Asking(path)
    for number in range(2, 5):
        holdfast.replace(number)
    holdfast.restart()
    holdfast.wait(words.ready(5))
    assert ask(path)[0] == 5
    numbers = asking.stop()
    assert {1, 2, 3, 4, 5} >= set(numbers) and len(set(numbers)) > 1
    holdfast.stop()


def test_a_toy_rejects_its_settings(site):
    holdfast, path = toy(site)
    path.with_name("toy.sock.broken").touch()
    result = holdfast.call("reload")
    assert result.returncode == words.EXIT_FAILURE
    assert "the toy rejects its settings: it is broken" in result.stderr
    assert ask(path)[0] == 1
    holdfast.stop()


def test_a_toy_is_handed_over(site):
    """Its names stand in the snapshot."""
    holdfast, path = toy(site)
    before = ask(path)
    result = holdfast.call("upgrade")
    assert result.returncode == 0, result.stderr
    assert ask(path) == before
    holdfast.replace(2)
    holdfast.stop()


@pytest.mark.plain
def test_nobody_compares_adapters():
    """Whatever depends on the kind of server is a member of its object; only the table and the kinds' own files name one."""
    names = re.compile(r"\bhf_(adapter_(php_fpm|php_cgi|generic)|handoff_(listen_fds|php_fpm|stdin|server_starter))\b")
    inside = {path for path in (SOURCE / "service").rglob("*.[ch]")}
    wrong = [str(path) for path in SOURCE.rglob("*.[ch]") if path not in inside and names.search(path.read_text())]
    assert not wrong


# docker-php-entrypoint, as the official image has it.
ENTRYPOINT = """#!/bin/sh
set -e

# first arg is `-f` or `--some-option`
if [ "${1#-}" != "$1" ]; then
	set -- php-fpm "$@"
fi

exec "$@"
"""


@pytest.mark.load
@pytest.mark.parametrize("before", [
    ["nice", "-n", "5"], ["env", "A=/php-fpm"], ["ionice", "-c", "2"], ["chrt", "--batch", "0"],
    ["setpriv", "--inh-caps=-all"], ["gosu", "root"], ["tini", "-g", "--"], ["dumb-init", "nice"], ["dumb-init", "--"],
    ["nice", "env", "A=B", "gosu", "root", "setpriv", "--no-new-privs"], ["{}/docker-php-entrypoint"]],
    ids=lambda words: " ".join(words).rpartition("/")[2])
def test_php_fpm_behind_another_program(site, before):
    """An init, even one that is not installed, is left out: holdfast does what it does."""
    entrypoint = site.directory / "docker-php-entrypoint"
    entrypoint.write_text(ENTRYPOINT)
    entrypoint.chmod(0o755)
    command = [*(word.format(site.directory) for word in before), PHP_FPM, "-y", site.configuration_path]
    checked = call("check", f"--name={site.name}", "--", *command)
    assert checked.returncode == 0, checked.stderr
    assert "(php-fpm)" in checked.stdout and site.address in checked.stdout
    holdfast = site.holdfast(command=command)
    master = site.main_pid()
    assert process.children(holdfast.pid) == [master]
    load = site.load()
    holdfast.replace(2)
    holdfast.restart()
    load.assert_nothing_lost()
    assert site.main_pid() not in (master, 0)


def test_words_before_php_fpm_where_it_is_said_so(site):
    wrapper = site.directory / "start"
    wrapper.write_text('#!/bin/sh\nexec "$@"\n')
    wrapper.chmod(0o755)
    holdfast = site.holdfast("--adapter=php-fpm", command=[wrapper, PHP_FPM, "-y", site.configuration_path])
    assert site.get()[0] == 200
    holdfast.replace(2)
    assert site.get()[0] == 200


IMAGE = {"error_log": "/proc/self/fd/2"}  # of the official images


@pytest.mark.load
@pytest.mark.parametrize("words_of_image", [
    pytest.param(["{holdfast}", "run", "--", "{entrypoint}", "php-fpm", "-y", "{configuration}"], id="before-its-entrypoint"),
    pytest.param(["{holdfast}", "run", "--", "{entrypoint}", "-y", "{configuration}"], id="options-alone"),
    pytest.param(["{entrypoint}", "{holdfast}", "run", "--", "php-fpm", "-y", "{configuration}"], id="behind-its-entrypoint")])
def test_the_entrypoint_of_an_image(make_site, contain, words_of_image):
    """ENTRYPOINT and CMD one after the other, as runc gets them."""
    site = make_site(**IMAGE)
    programs = site.directory / "bin"
    programs.mkdir()
    (programs / "php-fpm").symlink_to(shutil.which(PHP_FPM, path=process.PATH))
    entrypoint = programs / "docker-php-entrypoint"
    entrypoint.write_text(ENTRYPOINT)
    entrypoint.chmod(0o755)
    command = [word.format(holdfast=HOLDFAST, entrypoint=entrypoint, configuration=site.configuration_path) for word in words_of_image]
    container = contain(site, *command, env={"PATH": f"{programs}:{process.PATH}"}).start()
    load = site.load()
    container.kill(signal.SIGHUP)
    container.wait(words.reloaded(2))
    container.wait(words.gone(1))
    load.assert_nothing_lost()
    assert container.stop(signal.SIGQUIT) == 0
