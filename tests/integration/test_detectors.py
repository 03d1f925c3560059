# SPDX-License-Identifier: MIT
"""The tests' own detectors are shown to detect failures; and facts about php-fpm without holdfast."""
import os
import signal

import pytest

from harness import net, process
from harness.process import descriptors
from harness.wait import Ended

pytestmark = [pytest.mark.plain, pytest.mark.load]


def test_load_accounts_for_every_request(site):
    site.plain().start()
    load = site.load(rate=400, requests=1200)
    result = load.finish()
    load.assert_nothing_lost(at_least=1200)
    assert result["requests"] == 1200
    assert sum(entry["slow"] for entry in result["ledger"]) == 60
    assert {entry["body"].split()[0] for entry in result["ledger"]} == {"hello", "busy"}
    assert min(entry["latency"] for entry in result["ledger"] if entry["slow"]) >= 0.3


@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_plain_stop_and_start_loses_requests(make_site, listen):
    site = make_site(listen)
    server = site.plain()
    server.start()
    load = site.load()
    for _ in range(3):
        server.stop(signal.SIGTERM)
        server.start()
    failed = load.failed()
    assert failed, "a plain stop and start lost nothing: the load sees no failure"
    assert {entry["status"] for entry in failed} == {502}
    # Those whose answer was being made and those who found nobody there.
    assert any(entry["slow"] for entry in failed)


def test_load_names_connection_errors(site):
    site.plain().start()
    load = site.load(requests=200)
    site.nginx.close()
    kinds = {entry["error"] for entry in load.finish()["ledger"]}
    assert "ECONNREFUSED" in kinds


def test_unix_probe_sees_a_path_disappear(make_site):
    site = make_site("unix")
    server = site.plain()
    server.start()
    probe = site.unix_probe()
    for _ in range(3):
        server.stop(signal.SIGQUIT)
        server.start()
    result = probe.stop()
    assert result["failures"].get("ENOENT", 0) > 0
    assert result["attempts"] > result["failed"]


def test_unix_probe_sees_no_failure_of_a_quiet_server(make_site):
    site = make_site("unix")
    site.plain().start()
    probe = site.unix_probe()
    for _ in range(200):
        site.main_pid()
    result = probe.stop()
    assert result["failed"] == 0 and result["attempts"] > 20


def test_a_leaked_process_keeps_the_port_of_a_plain_php_fpm(site):
    server = site.plain()
    server.start()
    leaked = int(site.get("/leak.php")[1].split()[1])
    with Ended(leaked) as sleeper:
        assert any(target.startswith("socket:") for target in descriptors(leaked).values())
        server.stop(signal.SIGQUIT)
        assert sleeper.alive() and net.listening(site.ports()[0])
        server.launch()
        server.lines.wait(r"Address already in use \(98\)")
        assert server.process.wait() != 0
        assert process.strays() == [leaked]
    assert process.end_strays() == [leaked]


def test_workers_survive_their_master(site):
    server = site.plain()
    server.start()
    workers = process.children(server.process.pid)
    server.stop(signal.SIGKILL)
    assert site.get()[0] == 200
    assert sorted(process.strays()) == sorted(workers)
    assert all(process.stat(pid)[1] == os.getpid() for pid in workers)
    process.end_strays()
