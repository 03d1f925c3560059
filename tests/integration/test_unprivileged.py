# SPDX-License-Identifier: MIT
"""As a user without any privilege, its runtime directory below XDG_RUNTIME_DIR."""
import json
import shutil
import subprocess

from harness import words
from harness.lines import Lines
from harness.paths import HOLDFAST, RUNTIME
from harness.process import Process, environment
from harness.sleeper import COMMAND


def test_run_reload_restart_stop(make_site):
    site = make_site("unix", children=4, pool_options=dict.fromkeys(["user", "group", "listen.owner", "listen.group"]))
    site.configure(error_log=site.marks / "fpm.log")
    options = site.without_privilege()
    site.address = site.pools[0].listen = str(site.directory / "user" / "fpm.sock")
    site.configure()
    holdfast = site.holdfast(**options)
    first = site.main_pid()
    holdfast.replace(2)
    assert site.main_pid() != first
    assert holdfast.runtime.is_dir()
    holdfast.stop()


def test_a_log_that_may_not_be_written_is_php_fpms_verdict(site):
    """The pools are found nevertheless; php-fpm's own error says what is wrong."""
    site.error_log.touch(mode=0o600)
    program = site.directory / "holdfast"
    shutil.copy(HOLDFAST, program)
    result = subprocess.run(["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", program, "check",
                             f"--name={site.name}", "--", "php-fpm8.2", "-y", site.configuration_path],
                            env=environment(), capture_output=True, text=True, check=False)
    assert result.returncode == words.EXIT_FAILURE
    assert f"failed to open error_log ({site.error_log}): Permission denied" in result.stdout + result.stderr


def test_two_instances_of_one_name(site):
    """One is the user's own, the directory of the other was made by systemd: both are shown and can be told apart."""
    home = site.directory / "user"
    own = home / "run"
    given = RUNTIME / site.name
    own.mkdir(parents=True)
    RUNTIME.mkdir(exist_ok=True)
    given.mkdir()
    program = home / "holdfast"
    shutil.copy(HOLDFAST, program)
    for path in (home, own, program, given):
        shutil.chown(path, "www-data", "www-data")
    user = ["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", program]
    more = {"XDG_RUNTIME_DIR": str(own)}
    try:
        first, second = (Process([*user, "run", f"--name={site.name}", f"--listen={home}/{which}.sock", "--ready=delay:1ms",
                                  "--", *COMMAND], env=environment(**more, **added), stdin=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE)
                         for which, added in (("own", {}), ("given", {"RUNTIME_DIRECTORY": str(given)})))
        for instance in (first, second):
            Lines(instance.popen.stderr).wait(words.ready(1))
        shown = subprocess.run([*user, "status", "--json"], env=environment(**more), capture_output=True, text=True,
                               check=True).stdout.splitlines()
        assert sorted(json.loads(line)["pid"] for line in shown) == sorted([first.pid, second.pid])
        # by its name it is the user's own
        assert subprocess.run([*user, "stop", f"--name={site.name}"], env=environment(**more), check=False).returncode == 0
        assert first.wait() == 0 and second.running()
        assert second.stop() == 0
    finally:
        shutil.rmtree(given, ignore_errors=True)
