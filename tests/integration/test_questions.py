# SPDX-License-Identifier: MIT
"""What holdfast asks php-fpm before it is started, and what that costs."""
import pytest

from harness import net, words
from harness.holdfast import call
from harness.paths import PHP_FPM

# Stands for php-fpm: a line for each run, its nice value, that of its session, and its arguments.
SPY = f"""#!/bin/sh
echo "$(nice) $(sed 's/.*nice //' /proc/self/autogroup) $*" >>"$(dirname "$0")/runs"
exec {PHP_FPM} "$@"
"""
PRELOAD = "<?php file_put_contents('{}', implode(' ', $argv ?? []) . getmypid() . \"\\n\", FILE_APPEND);"


def spied(site):
    """A command that is php-fpm, and writes its runs down."""
    program = site.directory / "php-fpm"
    program.write_text(SPY)
    program.chmod(0o755)
    return [program, "-y", site.configuration_path]


def runs(site):
    """[(nice value, that of the session, arguments)] since the last call."""
    path = site.directory / "runs"
    lines = path.read_text().splitlines()
    path.unlink()
    return [(int(nice), int(session), arguments) for nice, session, arguments in (line.split(" ", 2) for line in lines)]


def questions(site):
    return [arguments for _, _, arguments in runs(site) if " -t" in arguments]


def ini(site, text):
    """The environment in which php.ini has that, too."""
    directory = site.directory / "ini"
    directory.mkdir(exist_ok=True)
    (directory / "more.ini").write_text(text)
    return {"PHP_INI_SCAN_DIR": f":{directory}"}


def test_the_pools_are_asked_for_without_php_ini(site):
    holdfast = site.holdfast(command=spied(site))
    pools, verdict = questions(site)
    assert " -n " in pools and " -tt " in pools
    assert " -n " not in verdict and " -t " in verdict
    holdfast.replace(2)
    assert " -n " in questions(site)[0]


def test_where_the_old_one_goes_on_a_start_is_the_verdict(site):
    """A restart stops the old one first, and a single side is shared: here php-fpm's test is run."""
    holdfast = site.holdfast(command=spied(site))
    runs(site)
    holdfast.replace(2)
    assert len(questions(site)) == 1
    holdfast.restart()
    assert len(questions(site)) == 2


def test_where_one_side_is_shared_it_is_asked(site):
    holdfast = site.holdfast("--handover=gentle", command=spied(site))
    runs(site)
    holdfast.replace(2)
    assert len(questions(site)) == 2


@pytest.mark.parametrize("broken", [True, False])
def test_after_a_failed_start_it_is_asked_for_its_words(site, broken):
    holdfast = site.holdfast(command=spied(site))
    before = site.main_pid()
    runs(site)
    program = site.directory / "php-fpm"
    breaks = f"echo no_such_setting = 1 >>{site.configuration_path}" if broken else "true"
    program.write_text(SPY.replace("exec ", f'case "$*" in *-tt*) {PHP_FPM} "$@"; {breaks}; exit;; *-t*) ;; *) exit 78;; esac\nexec '))
    failed = holdfast.call("reload")
    assert failed.returncode == words.EXIT_FAILURE
    assert "generation 2 failed to start: " in failed.stderr and "exited with status 78 before it was ready" in failed.stderr
    assert ("no_such_setting" if broken else "it finds no fault in its configuration") in failed.stderr
    assert len(questions(site)) == 2 and site.main_pid() == before


def test_a_variable_of_the_environment_needs_no_php_ini(site):
    site.pools[0].options["access.log"] = "${ACCESS_LOG}"
    site.configure()
    site.holdfast(f"--environment=ACCESS_LOG={site.directory}/access", command=spied(site))
    assert len(questions(site)) == 2
    assert site.get()[0] == 200 and (site.directory / "access").exists()


@pytest.mark.parametrize("name", ["bench.port", "BENCH_PORT"])
def test_a_variable_of_php_ini_is_asked_for_with_it(site, name):
    """Without php.ini the address would be a different one."""
    port = site.ports()[0]
    site.pools[0].listen = f"127.0.0.1:${{{name}}}"
    site.configure()
    site.holdfast(command=spied(site), env=ini(site, f"{name} = {port}\n"))
    first, second, _ = questions(site)
    assert " -n " in first and " -tt " in second and " -n " not in second
    site.pools[0].listen = f"127.0.0.1:{port}"
    assert site.get()[0] == 200


def test_a_variable_in_an_included_file_counts(site):
    port = site.ports()[0]
    text = site.configuration_path.read_text()
    (site.directory / "pools").mkdir()
    (site.directory / "pools" / "www.conf").write_text(text[text.index("[www]"):].replace(str(port), "${bench.port}"))
    site.configuration_path.write_text(f"{text[:text.index('[www]')]}\n[global]\ninclude = {site.directory}/pools/*.conf\n")
    site.holdfast(command=spied(site), env=ini(site, f"bench.port = {port}\n"))
    assert len(questions(site)) == 3
    assert site.get()[0] == 200


def test_what_is_wrong_is_said_as_with_php_ini(site):
    site.break_configuration()
    result = call("check", f"--name={site.name}", "--", *spied(site))
    assert result.returncode == words.EXIT_FAILURE and "no_such_setting" in result.stderr
    first, second = questions(site)
    assert " -n " in first and " -n " not in second


def test_they_yield_to_who_is_served_and_to_nobody_else(site):
    """The first start is not slowed down, and neither is a generation. The kernel takes a value for a session from
    those without privilege ten times a second at most, all of them together."""
    holdfast = site.holdfast(command=spied(site))
    assert all((nice, session) == (0, 0) for nice, session, _ in runs(site))
    holdfast.replace(2)
    holdfast.restart()
    for nice, session, arguments in runs(site):
        assert nice == (19 if " -t" in arguments else 0) and session in (0, nice), arguments


def test_a_preload_script_runs_in_generations_only(site):
    done = site.directory / "preloaded"
    script = site.directory / "preload.php"
    script.write_text(PRELOAD.format(done))
    site.directory.chmod(0o777)
    env = ini(site, f"opcache.preload = {script}\nopcache.preload_user = www-data\n")
    result = call("check", f"--name={site.name}", "--", *site.command, **env)
    assert result.returncode == 0, result.stderr
    assert not done.exists()
    holdfast = site.holdfast(env=env)
    assert len(done.read_text().splitlines()) == 1
    holdfast.replace(2)
    assert len(done.read_text().splitlines()) == 2
    holdfast.restart()
    assert len(done.read_text().splitlines()) == 3
    site.break_configuration()
    assert holdfast.call("reload").returncode == words.EXIT_FAILURE
    assert call("check", f"--name={site.name}", "--", *site.command, **env).returncode == words.EXIT_FAILURE
    assert len(done.read_text().splitlines()) == 3
    site.configure()


def test_the_verdict_after_a_failed_start_runs_no_preload_script(site):
    done = site.directory / "preloaded"
    script = site.directory / "preload.php"
    script.write_text(PRELOAD.format(done))
    site.directory.chmod(0o777)
    command = spied(site)
    holdfast = site.holdfast(command=command, env=ini(site, f"opcache.preload = {script}\nopcache.preload_user = www-data\n"))
    runs(site)
    command[0].write_text(SPY.replace("exec ", 'case "$*" in *" -t"*) ;; *) exit 78;; esac\nexec '))
    assert holdfast.call("reload").returncode == words.EXIT_FAILURE
    assert [arguments for arguments in questions(site) if " -t " in arguments]
    assert len(done.read_text().splitlines()) == 1


def test_a_program_that_says_nothing_is_quoted_by_its_status(site):
    program = site.directory / "php-fpm"
    program.write_text("#!/bin/sh\nexit 77\n")
    program.chmod(0o755)
    result = call("check", f"--name={site.name}", "--", program, "-y", site.configuration_path)
    assert result.returncode == words.EXIT_FAILURE
    assert "php-fpm rejects its configuration: it exits with status 77 and says nothing" in result.stderr


@pytest.mark.parametrize("verb", ["run", "check", "exec"])
def test_a_service_without_a_listener_says_so_itself(site, verb):
    """With --listen=none; otherwise it is an error."""
    result = call(verb, f"--name={site.name}", "--", "true")
    assert result.returncode == words.EXIT_FAILURE
    assert ("no socket was passed" if verb == "exec" else "no socket is named that could be held for /usr/bin/true; "
            "name each with --listen=ADDR, or say --listen=none if it has none") in result.stdout + result.stderr
    assert verb == "check" or len(result.stderr.splitlines()) == 1
    result = call(verb, f"--name={site.name}", "--listen=none", *(["--exit-with-service", "--ready=delay:1h"] if verb == "run" else []),
                  "--", "true")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("options, why", [
    (["--listen=none", "--listen=9000", "--", "true"], "none says that there is no socket, and another --listen names one"),
    (["--listen=none", "--", "php-fpm8.2"], "--listen does not go with php-fpm"),
    (["--listen=none", "--", "php-cgi8.2"], "needs a socket"), (["--listen=none", "--probe=tcp", "--", "true"], "needs a socket")])
def test_listen_none_is_alone(options, why):
    result = call("check", *options)
    assert result.returncode == words.EXIT_USAGE
    assert why in result.stderr and len(result.stderr.splitlines()) == 1


def test_a_reload_to_no_listener_is_refused(site):
    """Settings that lost their listener by mistake replace nothing."""
    settings = site.directory / "settings"
    listen = f"listen = 127.0.0.1:{net.free_port()}\n"
    site.pools[:] = []
    settings.write_text("ready = delay:1ms\n" + listen)
    holdfast = site.holdfast(f"--config={settings}", command=["sleep", "60"])
    settings.write_text("ready = delay:1ms\n")
    result = holdfast.call("reload")
    assert result.returncode == words.EXIT_FAILURE and "--listen=none" in result.stderr
    settings.write_text("ready = delay:1ms\nlisten = none\n")
    assert holdfast.call("reload").returncode == 0
    holdfast.stop()
