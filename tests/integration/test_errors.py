# SPDX-License-Identifier: MIT
"""Bad input: one clear line, the documented exit status, and nothing changed on disk."""
import os
import re
import socket

import pytest

from harness import net, words
from harness.holdfast import call
from harness.paths import PHP_FPM, RUNTIME
from harness.phpfpm import Pool
from harness.process import command_line


def runtime(site):
    """Runtime directories, without those of other tests that run at the same time."""
    names = os.listdir(RUNTIME) if RUNTIME.exists() else []
    return sorted(name for name in names if name == site.name or not name.startswith("test-"))


@pytest.fixture
def refuse(site):
    """Runs a command that must fail with an exit code and one line that matches every pattern."""

    def check(status, patterns, *arguments, lines=1, log=True):
        before = site.snapshot(log), runtime(site)
        result = call(*arguments)
        assert result.returncode == status, result.stderr
        assert (site.snapshot(log), runtime(site)) == before
        assert not result.stdout
        for pattern in patterns:
            assert re.search(pattern, result.stderr), result.stderr
        if lines:
            assert len(result.stderr.splitlines()) == lines, result.stderr
        return result.stderr

    check.site = site
    return check


@pytest.mark.parametrize("verb", ["run", "exec", "check"])
def test_unknown_option(refuse, verb):
    refuse(words.EXIT_USAGE, ["--lisen", "--listen"], verb, "--lisen=9000", "--", "true")


def test_unknown_verb(refuse):
    refuse(words.EXIT_USAGE, ["rum"], "rum", "--", "true")


def test_no_command(refuse):
    refuse(words.EXIT_USAGE, [r"(?i)command"], "run", "--listen=127.0.0.1:9000")


@pytest.mark.parametrize("address", ["127.0.0.1:", "127.0.0.1:70000", "::1", "[::1:9000", "relative.sock", "",
                                     "127.0.0.1:9000,backlog=many", "127.0.0.1:9000,mode=0999",
                                     "127.0.0.1:9000,nosuch=1",
                                     pytest.param("/" + "x" * 200, id="long")])
def test_malformed_listen(refuse, address):
    refuse(words.EXIT_USAGE, ["listen"], "run", f"--listen={address}", "--", "true")


@pytest.mark.parametrize("option", ["--name=../x", "--name=", "--adapter=apache", "--handoff=pigeon",
                                    "--ready-timeout=soon"])
def test_malformed_value(refuse, option):
    refuse(words.EXIT_USAGE, [option.partition("=")[0].strip("-")], "run", option, "--listen=9000", "--", "true")


def test_missing_program(refuse):
    address = f"127.0.0.1:{net.free_port()}"
    refuse(words.EXIT_FAILURE, ["no-such-program"], "run", f"--name={refuse.site.name}", f"--listen={address}", "--",
           "no-such-program")


def test_missing_php_fpm(refuse):
    refuse(words.EXIT_FAILURE, ["php-fpm9.9"], "run", f"--name={refuse.site.name}", "--", "php-fpm9.9")


@pytest.mark.parametrize("verb", ["run", "check"])
def test_unreadable_configuration(refuse, verb):
    missing = refuse.site.directory / "missing.conf"
    refuse(words.EXIT_FAILURE, [str(missing)], verb, f"--name={refuse.site.name}", "--", PHP_FPM, "-y", missing, lines=None)


@pytest.mark.parametrize("verb", ["run", "check"])
def test_broken_configuration_in_php_fpms_words(refuse, verb):
    refuse.site.break_configuration()
    refuse(words.EXIT_FAILURE, [r"unknown entry 'no_such_setting'"], verb, f"--name={refuse.site.name}", "--",
           PHP_FPM, "-y", refuse.site.configuration_path, lines=None)


def test_path_that_is_a_file(refuse):
    path = refuse.site.directory / "precious"
    path.write_text("data")
    refuse(words.EXIT_FAILURE, [str(path), r"(?i)not a socket"], "run", f"--name={refuse.site.name}",
           f"--listen={path}", "--", "true")
    assert path.read_text() == "data"


def test_pool_path_that_is_a_file(refuse):
    path = refuse.site.directory / "precious"
    path.write_text("data")
    refuse.site.pools[0].listen = str(path)
    refuse.site.configure()
    refuse(words.EXIT_FAILURE, [str(path), r"(?i)not a socket"], "run", f"--name={refuse.site.name}", "--", PHP_FPM,
           "-y", refuse.site.configuration_path)
    assert path.read_text() == "data"


def test_busy_port_names_its_holder(refuse):
    site = refuse.site
    plain = site.plain()
    plain.start()
    address = re.escape(site.address)
    refuse(words.EXIT_FAILURE, [rf"{address} is in use by php-fpm8\.2 \(pid {plain.process.pid}, since .+\)"],
           "run", f"--name={site.name}", "--", PHP_FPM, "-y", site.configuration_path, log=False)
    assert site.get()[0] == 200


def test_busy_unix_path_names_its_holder(make_site):
    site = make_site("unix")
    plain = site.plain()
    plain.start()
    inode = os.stat(site.address).st_ino
    result = call("run", f"--name={site.name}", "--", PHP_FPM, "-y", site.configuration_path)
    assert result.returncode == words.EXIT_FAILURE
    assert re.search(rf"{re.escape(site.address)} is in use by php-fpm8\.2 \(pid {plain.process.pid}, since .+\)",
                     result.stderr), result.stderr
    assert os.stat(site.address).st_ino == inode and site.get()[0] == 200


def test_busy_address_of_a_second_pool_frees_the_first(make_site):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        busy = holder.getsockname()[1]
        free = net.free_port()
        site = make_site(pools=[Pool(f"127.0.0.1:{free}", name="a"), Pool(f"127.0.0.1:{busy}", name="b")])
        result = call("run", f"--name={site.name}", "--", PHP_FPM, "-y", site.configuration_path)
    assert result.returncode == words.EXIT_FAILURE
    assert f"127.0.0.1:{busy} is in use by " in result.stderr and f"pid {os.getpid()}" in result.stderr
    assert not net.listening(free) and not (RUNTIME / site.name).exists()


def test_two_instances_of_one_name(site):
    holdfast = site.holdfast()
    before = site.snapshot(log=False)
    result = call("run", f"--name={site.name}", f"--listen=127.0.0.1:{net.free_port()}", "--", "sleep", "60")
    assert result.returncode == words.EXIT_FAILURE
    assert site.name in result.stderr
    assert site.snapshot(log=False) == before
    assert command_line(holdfast.pid) and site.get()[0] == 200
    holdfast.reload(2)


@pytest.mark.parametrize("verb", ["reload", "restart", "stop"])
def test_no_such_instance(refuse, verb):
    refuse(words.EXIT_NOT_RUNNING, ["no-such-instance"], verb, "--name=no-such-instance")


def test_help_and_version():
    for arguments in (["--help"], ["run", "--help"], ["reload", "--help"], ["help"], ["help", "run"]):
        result = call(*arguments)
        assert result.returncode == 0 and "holdfast" in result.stdout and not result.stderr
    assert re.search(r"\d+\.\d+", call("--version").stdout)
    assert call("-V").stdout == call("--version").stdout
