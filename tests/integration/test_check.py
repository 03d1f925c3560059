# SPDX-License-Identifier: MIT
"""`holdfast check` says what run would do, and changes nothing."""
import os
import re

from harness import net, words
from harness.holdfast import call
from harness.paths import PHP_FPM, PHP_FPM_PLAIN, RUNTIME
from harness.phpfpm import Pool


def check(site, *command):
    # php-fpm's verdict includes that it can open its log.
    before = site.snapshot(log=False)
    result = call("check", f"--name={site.name}", "--", *(command or [PHP_FPM, "-y", site.configuration_path]))
    assert site.snapshot(log=False) == before
    assert not (RUNTIME / site.name).exists()
    return result


def test_listeners_handoff_overlay_and_peak(make_site):
    site = make_site("unix", children=7, pool_options={"listen.mode": "0640", "php_admin_value[memory_limit]": "64M"})
    port = net.free_port()
    site.pools.append(Pool(f"127.0.0.1:{port}", name="other", children=4))
    site.configure()
    result = check(site)
    assert result.returncode == 0, result.stderr
    for text in (site.address, f"127.0.0.1:{port}", "0640", "php-fpm", "FPM_SOCKETS",
                 f"include={site.configuration_path}", "process_control_timeout", "systemd_interval = 0"):
        assert text in result.stdout.replace("include = ", "include=").replace('include="', "include="), text
    # Two generations of 7 and 4 workers overlap in a reload.
    assert re.search(r"\b22\b.*worker|worker.*\b22\b", result.stdout), result.stdout
    assert not net.listening(port) and not os.path.exists(site.address)


def test_a_build_without_systemd(site):
    result = check(site, PHP_FPM_PLAIN, "-y", site.configuration_path)
    assert result.returncode == 0, result.stderr
    assert "systemd_interval" not in result.stdout


def test_busy_address_is_a_problem(site):
    plain = site.plain()
    plain.start()
    result = check(site)
    assert result.returncode == words.EXIT_FAILURE
    assert re.search(rf"{re.escape(site.address)} is in use by php-fpm8\.2 \(pid {plain.process.pid}, since ",
                     result.stdout + result.stderr)


def test_generic(site):
    result = call("check", f"--name={site.name}", f"--listen=127.0.0.1:{site.ports()[0]}", "--", "sleep", "60")
    assert result.returncode == 0, result.stderr
    assert "listen-fds" in result.stdout and site.address in result.stdout


def test_everything_wrong_is_told_at_once(make_site):
    site = make_site()
    site.plain().start()
    path = site.directory / "precious"
    path.write_text("data")
    site.pools.append(Pool(str(path), name="file", children=1))
    site.configure()
    result = check(site)
    told = result.stdout + result.stderr
    assert result.returncode == words.EXIT_FAILURE
    assert "is in use by" in told and str(path) in told


def test_what_scripts_see_and_probes_ask_for(make_site):
    site = make_site(pool_options={"clear_env": "no", "ping.path": "/alive"})
    site.pools.append(Pool(f"127.0.0.1:{net.free_port()}", name="front", children=1, options={"listen.allowed_clients": "192.0.2.7"}))
    site.configure()
    told = call("check", f"--name={site.name}", "--probe=fastcgi:/ping", "--", PHP_FPM, "-y", site.configuration_path).stdout
    assert "Note: clear_env = no in 1 pool, whose scripts see what holdfast adds, too: FPM_SOCKETS," in told
    assert "Note: [www] has a ping.path of its own, /alive, which is used" in told
    assert "Note: [front] listen.allowed_clients lets nobody in from this machine, so the probe only connects" in told
