"""As a user without any privilege, its runtime directory below XDG_RUNTIME_DIR."""
import shutil
import subprocess

from harness import words
from harness.paths import HOLDFAST
from harness.process import environment


def test_run_reload_restart_stop(make_site):
    site = make_site("unix", children=4, pool_options=dict.fromkeys(["user", "group", "listen.owner", "listen.group"]))
    site.configure(error_log=site.marks / "fpm.log")
    home = site.directory / "user"
    runtime = home / "run"
    runtime.mkdir(parents=True)
    # Where the user may read it and put a socket, whatever the rights of the checkout.
    program = home / "holdfast"
    shutil.copy(HOLDFAST, program)
    for path in (home, runtime, program):
        shutil.chown(path, "www-data", "www-data")
    site.address = site.pools[0].listen = str(home / "fpm.sock")
    site.configure()
    holdfast = site.holdfast(
        wrapper=["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", program],
        env={"XDG_RUNTIME_DIR": str(runtime)}, runtime=runtime / "holdfast")
    first = site.main_pid()
    holdfast.replace(2)
    assert site.main_pid() != first
    assert holdfast.runtime.is_dir()
    holdfast.stop()


def test_a_log_that_may_not_be_written_is_php_fpms_verdict(site):
    """The pools are known nevertheless; what stands in the way is told in php-fpm's words."""
    site.error_log.touch(mode=0o600)
    program = site.directory / "holdfast"
    shutil.copy(HOLDFAST, program)
    result = subprocess.run(["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", program, "check",
                             f"--name={site.name}", "--", "php-fpm8.2", "-y", site.configuration_path],
                            env=environment(), capture_output=True, text=True, check=False)
    assert result.returncode == words.EXIT_FAILURE
    assert f"failed to open error_log ({site.error_log}): Permission denied" in result.stdout + result.stderr
