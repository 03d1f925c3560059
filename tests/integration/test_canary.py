# SPDX-License-Identifier: MIT
"""--canary where a listener has one side, or shares it: the next generation shows on private sockets that it is healthy,
or it replaces nothing. On the standby side: test_trial.py."""
import json
import os
import socket

import pytest

from harness import net, process, words
from harness.holdfast import call
from harness.paths import HELPERS, PHP_CGI, PHP_FPM, PHP_FPM_PLAIN
from harness.phpfpm import Pool
from harness.wait import Appearance, Ended

# Only where something hangs: on a busy machine the test of a configuration, at the lowest priority, takes as long.
HANGS = "--ready-timeout=20s"
GOOD = '<?php echo "well";'
FATAL = '<?php throw new Exception("out of cheese");'
BUSY = "<?php $_GET = ['ms' => 60000, 'mark' => 'busy']; require __DIR__ . '/busy.php';"

# Stands for php-fpm: gets stuck, or leaves, once there is a file of that name beside the configuration.
FRAIL_PHP_FPM = f"""#!/bin/sh
directory=$(dirname "$0")
case " $* " in
*" -t "* | *" -tt "*) ;;
*)
    test ! -e "$directory/stuck" || {{ echo "stuck in a bog" >&2; exec sleep 600; }}
    test ! -e "$directory/leaving" || {{ echo "I am off" >&2; exit 7; }} ;;
esac
exec {PHP_FPM} "$@"
"""


def write(site, text):
    (site.root / "healthz.php").write_text(text)


def guard(site, *options, **more):
    """An instance with a canary that asks for healthz.php."""
    return site.holdfast("--canary=fastcgi:/healthz.php", f"--canary-root={site.root}",
                         "--handover=gentle", *options, **more)


@pytest.fixture
def healthy(make_site):
    site = make_site(children=4)
    write(site, GOOD)
    return site


def assert_nothing_left(holdfast):
    names = os.listdir(holdfast.runtime)
    assert not [name for name in names if "canary" in name], names
    assert len(process.children(holdfast.pid)) == 1
    assert not [path for path in net.unix_paths() if "/canary." in path and holdfast.site.name in path]


def assert_refused(holdfast, verb, *reasons):
    """The command fails for that reason, and the old generation serves."""
    before = holdfast.site.main_pid()
    failed = holdfast.call(verb)
    assert failed.returncode == words.EXIT_FAILURE, failed
    for reason in reasons:
        assert reason in failed.stderr, failed.stderr
    assert holdfast.site.main_pid() == before
    assert_nothing_left(holdfast)


def assert_refused_under_load(holdfast, verb, *reasons):
    """And no request was lost or reached another generation."""
    load = holdfast.site.load()
    assert_refused(holdfast, verb, *reasons)
    load.assert_nothing_lost()
    masters = {entry["body"].split()[1] for entry in load.result["ledger"]}
    assert masters == {str(holdfast.site.main_pid())}


@pytest.mark.load
@pytest.mark.parametrize("listen, plain", [("tcp", False), ("unix", True)])
def test_a_good_deploy(make_site, listen, plain):
    site = make_site(listen, children=8)
    write(site, GOOD)
    program = PHP_FPM_PLAIN if plain else PHP_FPM
    holdfast = guard(site, command=[program, "-y", site.configuration_path])
    load = site.load()
    masters = [site.main_pid()]
    for number, verb in ((2, "reload"), (3, "reload"), (4, "restart")):
        done = holdfast.call(verb)
        assert done.returncode == 0, done.stderr
        holdfast.wait(words.gone(number - 1))
        masters.append(site.main_pid())
        assert_nothing_left(holdfast)
    load.assert_nothing_lost()
    assert len(set(masters)) == 4
    served = {entry["body"].split()[1] for entry in load.result["ledger"]}
    assert served <= set(map(str, masters))
    holdfast.stop()


@pytest.mark.load
@pytest.mark.parametrize("verb", ["reload", "restart"])
def test_a_script_that_fails(healthy, verb):
    holdfast = guard(healthy)
    write(healthy, FATAL)
    assert_refused_under_load(holdfast, verb, f"the canary of {healthy.address} is unhealthy: it answered 500", "out of cheese")
    write(healthy, GOOD)
    assert holdfast.call(verb).returncode == 0
    holdfast.stop()


@pytest.mark.load
def test_a_deploy_that_breaks_every_page(healthy):
    holdfast = guard(healthy)
    healthy.pools[0].options["php_admin_value[auto_prepend_file]"] = "/no/such/file.php"
    healthy.configure()
    assert_refused_under_load(holdfast, "reload", "it answered 500", "/no/such/file.php")
    holdfast.stop()


def test_a_pool_of_nobody(healthy):
    holdfast = guard(healthy)
    healthy.pools[0].user = "no-such-user"
    healthy.configure()
    assert_refused(holdfast, "reload", "no-such-user")
    holdfast.stop()


def test_a_script_that_is_missing(healthy):
    holdfast = guard(healthy)
    (healthy.root / "healthz.php").unlink()
    assert_refused(holdfast, "reload", "it answered 404: Primary script unknown")
    holdfast.stop()


def test_a_script_that_hangs(healthy):
    holdfast = guard(healthy, HANGS)
    write(healthy, BUSY)
    assert_refused(holdfast, "reload", "the canary did not answer in 20 s")
    holdfast.stop()


@pytest.mark.parametrize("how, options, reasons", [
    ("stuck", [HANGS], ["the canary was not ready in 20 s", "stuck in a bog"]),
    ("leaving", [], ["the canary exited with status 7", "I am off"])])
def test_a_master_that_does_not_come_up(healthy, how, options, reasons):
    program = healthy.directory / "php-fpm-frail"
    program.write_text(FRAIL_PHP_FPM)
    program.chmod(0o755)
    holdfast = guard(healthy, *options, command=[program, "-y", healthy.configuration_path])
    (healthy.directory / how).touch()
    assert_refused(holdfast, "reload", *reasons)
    holdfast.stop()


def test_every_pool_is_asked(make_site):
    pools = [Pool(f"127.0.0.1:{net.free_port()}", name, children=2) for name in ("good", "bad")]
    site = make_site(pools=pools)
    write(site, GOOD)
    holdfast = guard(site)
    assert holdfast.call("reload").returncode == 0
    holdfast.wait(words.gone(1))
    pools[1].options["php_admin_value[auto_prepend_file]"] = "/no/such/file.php"
    site.configure()
    assert_refused(holdfast, "reload", f"the canary of {pools[1].listen} is unhealthy: it answered 500")
    holdfast.stop()


@pytest.mark.parametrize("path", ["/ping", "{root}/healthz.php?deep=1"])
def test_php_fpms_own_pages_and_whole_paths(healthy, path):
    healthy.pools[0].options["ping.path"] = "/ping"
    healthy.configure()
    holdfast = healthy.holdfast(f"--canary=fastcgi:{path.format(root=healthy.root)}")
    assert holdfast.call("reload").returncode == 0
    holdfast.stop()


def test_the_first_start_has_nothing_to_protect(site):
    write(site, FATAL)
    holdfast = guard(site)
    assert site.get()[0] == 200
    holdfast.stop()


def test_a_stop_does_not_wait_for_it(healthy):
    holdfast = guard(healthy, "--ready-timeout=1h")
    write(healthy, BUSY)
    with Appearance(healthy.marks / "busy") as appearance:
        reload = process.Process([*holdfast.command[:1], "reload", f"--name={healthy.name}"],
                                 env=process.environment())
        appearance.wait()
    worker = int((healthy.marks / "busy").read_text())
    with Ended(worker) as busy:
        holdfast.stop()
        busy.wait()
    assert reload.wait() == words.EXIT_FAILURE


def connect(address):
    with socket.create_connection(("127.0.0.1", address)) as connection:
        return json.loads(connection.makefile().readline())["pid"]


def test_other_programs_by_a_command(site):
    port = net.free_port()
    tested = site.directory / "tested"
    command = f"test ! -e broken || {{ echo broken; exit 1; }}; echo \"$HOLDFAST_CANARY_ADDRESS\" >{tested}; " \
              "test -S \"${HOLDFAST_CANARY_ADDRESS#unix:}\""
    holdfast = site.holdfast(f"--listen=127.0.0.1:{port}", "--ready=notify", f"--directory={site.directory}",
                             f"--canary=exec:{command}", "--handover=at-once", command=[HELPERS / "listen_fds_server.py"])
    before = connect(port)
    assert holdfast.call("reload").returncode == 0
    assert tested.read_text() == f"unix:{holdfast.runtime}/canary.0\n"
    holdfast.wait(words.gone(1))
    after = connect(port)
    assert after != before
    (site.directory / "broken").touch()
    failed = holdfast.call("reload")
    assert failed.returncode == words.EXIT_FAILURE
    assert f"the canary of 127.0.0.1:{port} is unhealthy: the command exited with status 1" in failed.stderr
    assert "broken" in failed.stderr
    assert connect(port) == after
    holdfast.stop()


def test_other_programs_over_http(site):
    port = net.free_port()
    health = site.directory / "health"
    holdfast = site.holdfast(f"--listen=127.0.0.1:{port}", "--ready=notify", f"--directory={site.directory}",
                             "--canary=http:/healthz", "--http-header=X-Probe: canary",
                             command=[HELPERS / "http_server.py"])
    health.write_text("500 out of cheese")
    failed = holdfast.call("reload")
    assert failed.returncode == words.EXIT_FAILURE
    assert f"the canary of 127.0.0.1:{port} is unhealthy: it answered 500: out of cheese" in failed.stderr
    assert "localhost canary" in failed.stderr
    holdfast.wait(words.gone(2))  # it was on the standby side
    assert_nothing_left(holdfast)
    health.write_text("200 well")
    assert holdfast.call("reload").returncode == 0
    holdfast.stop()


def test_a_program_that_speaks_no_http(site):
    port = net.free_port()
    holdfast = site.holdfast(f"--listen=127.0.0.1:{port}", "--ready=notify", "--canary=http:/",
                             command=[HELPERS / "listen_fds_server.py"])
    failed = holdfast.call("reload")
    assert failed.returncode == words.EXIT_FAILURE
    assert "the answer is not HTTP" in failed.stderr
    holdfast.stop()


def test_a_program_that_speaks_no_fastcgi(site):
    port = net.free_port()
    holdfast = site.holdfast(f"--listen=127.0.0.1:{port}", "--ready=notify", "--canary=fastcgi:/",
                             command=[HELPERS / "listen_fds_server.py"])
    failed = holdfast.call("reload")
    assert failed.returncode == words.EXIT_FAILURE
    assert "the answer is not FastCGI" in failed.stderr
    holdfast.stop()


def test_a_program_without_sockets(site):
    holdfast = site.holdfast("--listen=none", "--ready=delay:100ms", "--canary=exec:true", command=["sleep", "600"])
    failed = holdfast.call("reload")
    assert failed.returncode == words.EXIT_FAILURE
    assert "the canary cannot be started: the service has no socket to be asked at" in failed.stderr
    holdfast.stop()


def test_one_that_does_not_heed_its_end_is_killed_with_its_children(site):
    stubborn = site.directory / "stubborn"
    script = f"test ! -e {stubborn} || trap '' TERM; sleep 600 & exec sleep 600"
    holdfast = site.holdfast(f"--listen=127.0.0.1:{net.free_port()}", "--ready=delay:100ms", "--canary=exec:false",
                             "--handover=at-once",
                             command=["sh", "-c", script])
    stubborn.touch()
    assert holdfast.call("reload").returncode == words.EXIT_FAILURE
    assert_nothing_left(holdfast)
    holdfast.stop()


def test_php_cgi(make_site):
    site = make_site(f"127.0.0.1:{net.free_port()}")
    write(site, GOOD)
    holdfast = guard(site, "--ready=delay:300ms", f"--listen={site.address}", command=[PHP_CGI])
    assert holdfast.call("reload").returncode == 0
    write(site, FATAL)
    failed = holdfast.call("reload")
    assert failed.returncode == words.EXIT_FAILURE and "it answered 500" in failed.stderr
    assert site.get()[0] == 200
    holdfast.stop()


def test_check_tells_of_it(site):
    told = call("check", "--handover=gentle", "--canary=fastcgi:/healthz.php", f"--canary-root={site.root}", "--", PHP_FPM, "-y",
                site.configuration_path)
    assert told.returncode == 0
    assert f"Canary: before each reload and restart the next generation is started on private sockets and asked for " \
           f"{site.root}/healthz.php" in told.stdout
