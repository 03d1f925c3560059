# SPDX-License-Identifier: MIT
"""The user's pid file, log rotation and -D keep working."""
import os
import pathlib
import signal

import pytest

from harness import words
from harness.process import command_line
from harness.wait import Appearance, Ended


def pid_in(path):
    return int(path.read_text())


def send(pid, number):
    """As `kill $(cat php-fpm.pid)` does."""
    with Ended(pid) as target:
        signal.pidfd_send_signal(target.fd, number)


def test_pid_file_takes_signals(make_site):
    site = make_site()
    pid_file = site.directory / "php-fpm.pid"
    site.configure(pid=pid_file)
    holdfast = site.holdfast()
    assert pid_in(pid_file) == holdfast.pid
    assert "holdfast" in command_line(pid_in(pid_file))
    old = site.main_pid()
    send(pid_in(pid_file), signal.SIGUSR2)
    holdfast.wait(words.reloaded(2))
    holdfast.wait(words.gone(1))
    assert site.main_pid() != old
    # The old master removes the pid file it wrote: not this one.
    assert pid_in(pid_file) == holdfast.pid
    holdfast.stop()
    assert not pid_file.exists()


def test_pid_file_of_the_command_line(site):
    pid_file = site.directory / "given.pid"
    holdfast = site.holdfast(command=["php-fpm8.2", "-y", site.configuration_path, "-g", pid_file])
    assert pid_in(pid_file) == holdfast.pid
    holdfast.stop()
    assert not pid_file.exists()


@pytest.mark.parametrize("how", ["configuration", "-g", "both"])
def test_a_relative_pid_file_is_below_the_prefix(site, how):
    """As php-fpm has it, whose configuration wins over -g."""
    if how != "-g":
        site.configure(pid="set.pid")
    command = ["php-fpm8.2", "-y", site.configuration_path, "-p", site.directory]
    holdfast = site.holdfast(command=command if how == "configuration" else [*command, "-g", "given.pid"])
    assert pid_in(site.directory / ("given.pid" if how == "-g" else "set.pid")) == holdfast.pid


def test_the_pid_file_is_there_before_php_fpm_says_that_it_runs(site):
    """So a script that waits for that line and then reads the file finds it."""
    pid_file = site.directory / "php-fpm.pid"
    site.configure(pid=pid_file)
    seen = site.directory / "seen"
    wrapper = site.directory / "php-fpm8.2"
    wrapper.write_text(f"#!/bin/sh\ncase \"$*\" in *-t*) ;; *) cat {pid_file} >{seen};; esac\n"
                       f'exec /usr/sbin/php-fpm8.2 "$@"\n')
    wrapper.chmod(0o755)
    holdfast = site.holdfast("--adapter=php-fpm", command=[wrapper, "-y", site.configuration_path])
    assert pid_in(seen) == holdfast.pid == pid_in(pid_file)


def test_log_rotation(make_site):
    site = make_site()
    pid_file = site.directory / "php-fpm.pid"
    site.configure(pid=pid_file)
    holdfast = site.holdfast()
    os.rename(site.error_log, site.directory / "fpm.log.1")
    with Appearance(site.error_log) as appearance:
        send(pid_in(pid_file), signal.SIGUSR1)
        appearance.wait()
    assert site.get()[0] == 200
    with Ended(site.main_pid()) as master:
        assert master.alive()
    held = {os.path.realpath(f"/proc/{site.main_pid()}/fd/{fd}") for fd in os.listdir(f"/proc/{site.main_pid()}/fd")}
    assert str(site.error_log) in held and str(site.directory / "fpm.log.1") not in held
    holdfast.stop()


def test_daemonize_is_stripped_with_a_notice(site):
    holdfast = site.holdfast(command=["php-fpm8.2", "-D", "-y", site.configuration_path])
    assert holdfast.lines.find(words.DAEMONIZE_STRIPPED), holdfast.lines.text()
    assert site.get()[0] == 200
    # It did not escape: it is still a child.
    assert pathlib.Path(f"/proc/{site.main_pid()}/stat").read_text().rpartition(")")[2].split()[1] == str(holdfast.pid)
    holdfast.stop()


def test_other_php_fpm_options_are_passed_on(site):
    prefix = site.directory / "prefix"
    (prefix / "conf.d").mkdir(parents=True)
    (prefix / "conf.d" / "pool.conf").write_text(site.pools[0].text())
    main = site.directory / "main.conf"
    # Relative to the prefix, in php-fpm's rules.
    main.write_text(f"[global]\nerror_log = {site.error_log}\ninclude = conf.d/*.conf\n")
    holdfast = site.holdfast(command=["php-fpm8.2", "--nodaemonize", "-p", prefix, "-n", "-d", "auto_append_file=",
                                      "-y", main])
    assert site.get()[0] == 200
    holdfast.reload(2)
    holdfast.stop()


def test_two_instances_with_one_pid_file(make_site):
    """A signal to the pid in it reaches only one of them."""
    first, second = make_site(), make_site()
    pid_file = first.directory / "shared"
    for site in (first, second):
        site.configure(pid=pid_file)
    one, two = first.holdfast(), second.holdfast()
    two.wait(rf"the pid file {pid_file} is also that of another holdfast that runs \(pid {one.pid}\)")
    assert pid_in(pid_file) == two.pid
    one.stop()
    assert pid_in(pid_file) == two.pid
    two.stop()
    assert not pid_file.exists()
