# SPDX-License-Identifier: MIT
"""php-fpm's own figures, for all pools, without any setup."""
import json
import os
import re
import signal
import subprocess

import pytest

from harness import net, words
from harness.phpfpm import Pool
from harness.process import environment
from harness.sleeper import sleeper, waiting


def facts(holdfast):
    result = holdfast.call("status", "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def metrics(holdfast):
    """{name and labels but that of the instance: value}"""
    text = holdfast.call("metrics").stdout
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, env=environment(), capture_output=True,
                             text=True, check=False)
    assert checked.returncode == 0 and not checked.stdout + checked.stderr, checked.stdout + checked.stderr
    own = f'name="{holdfast.site.name}"'
    samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {re.sub(r"\{,?(.*)\}$", r"{\1}", name.replace(own, "")).removesuffix("{}"): float(value) for name, _, value in samples}


@pytest.fixture
def pools(make_site):
    """One that is given away, one on demand, at a port."""
    own = {"pm": "ondemand"}
    site = make_site(pools=[Pool(f"127.0.0.1:{net.free_port()}", children=2),
                            Pool(f"127.0.0.1:{net.free_port()}", name="api", children=5, options=own)])
    site.pools[0].options["listen.owner"] = "www-data"
    site.configure()
    return site


def test_each_pool_while_every_worker_is_busy(pools):
    """An exporter that needs a worker would get no answer."""
    holdfast = pools.holdfast()
    assert pools.get()[0] == 200
    busy = [pools.start_slow(), pools.start_slow()]
    with waiting(pools.address, 1):
        www, api = facts(holdfast)["pools"]
        shown = metrics(holdfast)
        table = holdfast.call("status").stdout
    assert www == {"name": "www", "active": 2, "idle": 0, "total": 2, "limit": 2, "queue": 1, "accepted": 3,
                   "max_children": 0, "slow": 0, "memory_peak": None, "error": None}
    assert (api["active"], api["total"], api["limit"], api["accepted"]) == (0, 0, 5, 0)
    for name, value in {"active_workers": 2, "idle_workers": 0, "workers": 2, "workers_limit": 2, "queue_depth": 1,
                        "accepted_connections_total": 3, "max_children_reached_total": 0,
                        "slow_requests_total": 0}.items():
        assert shown[f'holdfast_pool_{name}{{pool="www"}}'] == value, name
    assert re.search(r"\nwww +2 +0 +2 +1 +3 +0 +0 +-\n", table)
    for answer in busy:
        assert answer.finish()[0] == 200
    holdfast.stop()


def test_the_opcode_cache(pools):
    os.utime(pools.root / "hello.php", (1, 1))  # what is new is not cached
    holdfast = pools.holdfast()
    assert pools.get()[0] == 200
    first, = facts(holdfast)["caches"]
    assert first["error"] is None and first["scripts"] >= 2 and first["keys_limit"] > first["keys"] > 0
    assert first["used"] > 0 and first["free"] > 0 and first["full_restarts"] == 0
    for _ in range(3):
        shown = metrics(holdfast)
    # to ask costs one script's room, once
    assert shown["holdfast_opcache_scripts"] == first["scripts"] and shown["holdfast_opcache_wasted_bytes"] == 0
    assert shown["holdfast_opcache_hits_total"] >= first["hits"] + 3
    assert f"The opcode cache: {first['scripts']} scripts, " in holdfast.call("status").stdout
    assert not list(holdfast.runtime.glob("*.php"))
    holdfast.stop()


def test_times_of_a_replacement(pools):
    holdfast = pools.holdfast()
    assert "holdfast_switch_seconds" not in metrics(holdfast)
    slow = pools.start_slow()
    holdfast.reload(2)
    before = facts(holdfast)
    assert before["switched_after"] > 0 and before["gone_after"] is None
    assert slow.finish()[0] == 200
    holdfast.wait(words.gone(1))
    holdfast.settle()
    shown = metrics(holdfast)
    assert shown["holdfast_switch_seconds"] == before["switched_after"] and shown["holdfast_drain_seconds"] > 0
    assert re.search(r"\nThe last replacement: .* from the request until it served, .* more until the one before was gone\n",
                     holdfast.call("status").stdout)
    holdfast.stop()


def test_who_does_not_answer_is_named(pools):
    """php-fpm's main process starts those who answer."""
    holdfast = pools.holdfast("--warm=none")
    main = holdfast.site.main_pid()
    subprocess.run(["kill", f"-{int(signal.SIGSTOP)}", str(main)], check=True)
    try:
        now = facts(holdfast)
        text = holdfast.call("status").stdout
    finally:
        subprocess.run(["kill", f"-{int(signal.SIGCONT)}", str(main)], check=True)
    assert now["caches"] == []
    assert [(pool["active"], pool["limit"], pool["error"]) for pool in now["pools"]] == \
        [(None, 2, "no answer within 2 s"), (None, 5, "no answer within 2 s")]
    assert "\nno figures from www: no answer within 2 s\n" in text
    holdfast.stop()


def test_where_there_is_nothing_to_ask(site):
    holdfast = sleeper(site)
    now = facts(holdfast)
    assert now["pools"] == now["caches"] == []
    holdfast.stop()
