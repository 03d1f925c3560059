# SPDX-License-Identifier: MIT
"""A next generation is tried and warmed on its standby side, and then it serves: --canary, --warm, --document-root."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from harness import fastcgi, net, process, words
from harness.manager import ManagedHoldfast, killed
from harness.paths import HELPERS
from harness.phpfpm import Pool
from harness.wait import DEADLINE, Appearance

WARMED = r"generation {} (warmed .*|had nothing to warm.*)"
STATE = "<?php echo json_encode(array_map('basename', array_keys(opcache_get_status(true)['scripts'])));"
LONG_AGO = time.time() - 3600


def write(site, name, text, root=None):
    """An old file: opcache takes no new one."""
    path = (root or site.root) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def ask(site, name, address=None):
    return fastcgi.request(address or site.address, str(site.root / name))[1]


def warmed(holdfast, number):
    """What a reload to generation number says of its warm-up."""
    assert holdfast.call("reload").returncode == 0
    return re.search(WARMED.format(number), holdfast.wait(WARMED.format(number))).group(1)


@pytest.fixture
def warm_site(make_site):
    site = make_site(children=3, pool_options={})
    site.pools[0].options["access.log"] = str(site.directory / "access.log")
    site.configure()
    write(site, "used.php", "<?php function used() { return 1; } echo 'used';")
    write(site, "executed.php", "<?php file_put_contents(__DIR__ . '/../marks/executed', 'x', FILE_APPEND); echo 'e';")
    write(site, "state.php", STATE)
    return site


def test_what_the_old_cache_held_is_compiled_and_not_run(warm_site):
    holdfast = warm_site.holdfast()
    ask(warm_site, "used.php")
    ask(warm_site, "executed.php")
    mark = warm_site.marks / "executed"
    assert mark.read_text() == "x"
    log = warm_site.directory / "access.log"
    requests = len(log.read_text().splitlines())
    report = warmed(holdfast, 2)
    assert re.fullmatch(r"warmed 2 of 2 scripts in [\d.]+ m?s", report), report
    assert mark.read_text() == "x"
    assert len(log.read_text().splitlines()) == requests
    assert {"used.php", "executed.php"} <= set(eval(ask(warm_site, "state.php")))
    assert not [name for name in os.listdir(holdfast.runtime) if name.endswith(".php")]
    holdfast.stop()


def test_none(warm_site):
    holdfast = warm_site.holdfast("--warm=none")
    ask(warm_site, "used.php")
    assert holdfast.call("reload").returncode == 0
    assert "used.php" not in eval(ask(warm_site, "state.php"))
    holdfast.stop()


@pytest.mark.parametrize("option", [
    "auto_prepend_file={root}/prepend.php", "open_basedir={root}", "opcache.restrict_api=/nowhere"])
def test_settings_that_do_not_concern_it(warm_site, option):
    write(warm_site, "prepend.php", "<?php file_put_contents(__DIR__ . '/../marks/prepended', 'x', FILE_APPEND);")
    name, _, value = option.format(root=warm_site.root).partition("=")
    warm_site.pools[0].options[f"php_admin_value[{name}]"] = value
    warm_site.pools[0].options["security.limit_extensions"] = ".php .php5"
    warm_site.configure()
    holdfast = warm_site.holdfast()
    ask(warm_site, "used.php")
    mark = warm_site.marks / "prepended"
    before = mark.read_text() if mark.exists() else None
    assert re.match(r"warmed (\d) of \1 scripts", warmed(holdfast, 2))
    assert (mark.read_text() if mark.exists() else None) == before
    holdfast.stop()


@pytest.mark.parametrize("arguments, reason", [
    (["-d", "opcache.enable=0"], "opcache is off; set opcache.enable=1"),
    (["-d", "disable_functions=opcache_compile_file"], "take it out of disable_functions")])
def test_where_it_cannot_work(warm_site, arguments, reason):
    holdfast = warm_site.holdfast(command=[*warm_site.command, *arguments])
    ask(warm_site, "used.php")
    report = warmed(holdfast, 2)
    assert report.startswith("had nothing to warm; [www] scripts cannot be listed: ") and reason in report
    holdfast.stop()


def test_a_script_that_does_not_compile(warm_site):
    holdfast = warm_site.holdfast()
    ask(warm_site, "used.php")
    ask(warm_site, "executed.php")
    write(warm_site, "used.php", "<?php if (")
    assert warmed(holdfast, 2).startswith("warmed 1 of 2 scripts")
    holdfast.stop()


def test_a_script_that_is_gone_is_not_missed(warm_site):
    holdfast = warm_site.holdfast()
    ask(warm_site, "used.php")
    ask(warm_site, "executed.php")
    (warm_site.root / "used.php").unlink()
    assert warmed(holdfast, 2).startswith("warmed 1 of 1 scripts")
    holdfast.stop()


def test_scripts_that_are_too_new_are_waited_for(warm_site):
    holdfast = warm_site.holdfast()
    ask(warm_site, "used.php")
    os.utime(warm_site.root / "used.php")
    assert warmed(holdfast, 2).startswith("warmed 1 of 1 scripts")
    holdfast.stop()


def test_a_deploy_that_moves_a_link(warm_site):
    for release in "12":
        write(warm_site, f"releases/{release}/vendor/lib.php", f"<?php function lib() {{ return {release}; }}")
        write(warm_site, f"releases/{release}/public/app.php",
              "<?php require __DIR__ . '/../vendor/lib.php'; echo lib();")
    link = warm_site.root / "current"
    link.symlink_to(warm_site.root / "releases/1")
    holdfast = warm_site.holdfast(f"--document-root={link}/public")
    ask(warm_site, "current/public/app.php")
    link.unlink()
    link.symlink_to(warm_site.root / "releases/2")
    assert warmed(holdfast, 2).startswith("warmed 2 of 2 scripts")
    write(warm_site, "paths.php", "<?php echo json_encode(array_keys(opcache_get_status(true)['scripts']));")
    paths = eval(ask(warm_site, "paths.php").replace("\\/", "/"))
    assert f"{warm_site.root}/releases/2/vendor/lib.php" in paths
    assert not [path for path in paths if "/releases/1/" in path]
    holdfast.stop()


def test_many_scripts(warm_site):
    for number in range(3000):
        write(warm_site, f"many/{number}.php", f"<?php function many{number}() {{ return {number}; }}")
    write(warm_site, "all.php", "<?php foreach (glob(__DIR__ . '/many/*.php') as $file) require $file;")
    holdfast = warm_site.holdfast("--warm-timeout=60s", "--warm-parallel=2")
    ask(warm_site, "all.php")
    assert warmed(holdfast, 2).startswith("warmed 3001 of 3001 scripts")
    holdfast.stop()


def test_tenants(make_site):
    """Scripts that a user cannot read are not told to its worker; pools that share a user are asked once."""
    pools = [Pool(f"127.0.0.1:{net.free_port()}", name, children=1, user=user)
             for name, user in (("a", "www-data"), ("b", "nobody"), ("c", "www-data"))]
    pools[1].options["group"] = "nogroup"
    site = make_site(pools=pools)
    for name, user in (("a", "www-data"), ("b", "nobody"), ("c", "www-data")):
        path = write(site, f"{name}.php", f"<?php echo '{name}';")
        subprocess.run(["chown", user, path], check=True)
        path.chmod(0o600)
    holdfast = site.holdfast()
    for pool in pools:
        assert ask(site, f"{pool.name}.php", pool.listen) == pool.name
    assert warmed(holdfast, 2).startswith("warmed 3 of 3 scripts")
    with open(f"{holdfast.runtime}/{next(n for n in os.listdir(holdfast.runtime) if n.startswith('gen-2-') and n.endswith('.conf'))}") as overlay:
        assert overlay.read().count("[holdfast-warm-") == 2
    holdfast.stop()


def test_a_chroot(make_site):
    site = make_site(children=1, pool_options={})
    site.pools[0].options["chroot"] = str(site.root)
    site.configure()
    write(site, "used.php", "<?php echo 'used';")
    holdfast = site.holdfast()
    assert fastcgi.request(site.address, "/used.php")[1] == "used"
    assert warmed(holdfast, 2).startswith("warmed 1 of 1 scripts")
    assert not [name for name in os.listdir(site.root) if name.startswith(".holdfast")]
    holdfast.stop()


PID = "<?php file_put_contents(__DIR__ . '/../marks/pids', getmypid() . ' ' . ($_SERVER['HTTP_X_HOLDFAST'] ?? '') . ' ' . " \
      "$_SERVER['HTTP_HOST'] . ' ' . $_SERVER['REQUEST_METHOD'] . ' ' . $_SERVER['REQUEST_URI'] . ' ' . " \
      "($_SERVER['HTTPS'] ?? '') . ' ' . $_SERVER['HTTP_USER_AGENT'] . \"\\n\", FILE_APPEND);"


def visits(site):
    return [line.split(" ", 6) for line in (site.marks / "pids").read_text().splitlines()]


def test_each_worker_has_each_page(warm_site):
    write(warm_site, "pid.php", PID)
    holdfast = warm_site.holdfast("--warm=fastcgi:/pid.php?x=1", f"--document-root={warm_site.root}")
    assert "by" in warmed(holdfast, 2)
    found = visits(warm_site)
    assert len({visit[0] for visit in found}) == 3
    assert {tuple(visit[1:5]) for visit in found} == {("warm-up", "localhost", "GET", "/pid.php?x=1")}
    assert "(warm-up)" in found[0][6]
    past = json.loads(holdfast.call("history", "--json").stdout)["generations"][-1]
    assert past["warm_requests"] == len(found) and past["warm_failures"] == 0 and past["warm_time"] > 0
    facts = json.loads(holdfast.call("status", "--json").stdout)
    assert {key: facts[key] for key in facts if key.startswith("warm_")} == {
        key: past[key] for key in past if key.startswith("warm_")}
    assert re.search(rf"\nThe last warm-up: \d+ of \d+ scripts, {len(found)} requests, in [\d.]+ m?s\n",
                     holdfast.call("status").stdout)
    metrics = holdfast.call("metrics").stdout
    for name, value in ("scripts", past["warm_scripts"]), ("requests", len(found)), ("failures", 0):
        assert f'holdfast_warm_up_{name}{{name="{warm_site.name}"}} {value}\n' in metrics
    assert "\nholdfast_warm_up_seconds{" in metrics
    holdfast.stop()


@pytest.mark.parametrize("manager, workers", [
    ({"pm": "ondemand"}, 1), ({"pm": "dynamic", "pm.start_servers": 2, "pm.min_spare_servers": 1,
                               "pm.max_spare_servers": 3}, 2)])
def test_workers_that_are_not_there_yet(warm_site, manager, workers):
    warm_site.pools[0].options.update(manager)
    warm_site.configure()
    write(warm_site, "pid.php", PID)
    holdfast = warm_site.holdfast("--warm=fastcgi:/pid.php", f"--document-root={warm_site.root}")
    warmed(holdfast, 2)
    assert workers <= len({visit[0] for visit in visits(warm_site)}) <= workers + 1
    holdfast.stop()


def test_a_list(warm_site):
    write(warm_site, "pid.php", PID)
    pages = warm_site.directory / "pages"
    pages.write_text("# all of them\n\n/pid.php?a\nGET https://example.org:8443/pid.php?b\nPOST /pid.php\n")
    holdfast = warm_site.holdfast(f"--warm=file:{pages}", f"--document-root={warm_site.root}", "--warm=none")
    report = warmed(holdfast, 2)
    assert f"{pages}:5: write PATH or METHOD URL" in report
    found = {tuple(visit[2:6]) for visit in visits(warm_site)}
    assert found == {("localhost", "GET", "/pid.php?a", ""), ("example.org:8443", "GET", "/pid.php?b", "on")}
    holdfast.stop()


def test_recent_pages(warm_site):
    write(warm_site, "pid.php", PID)
    holdfast = warm_site.holdfast("--warm=recent", "--warm=none")
    fastcgi.request(warm_site.address, str(warm_site.root / "pid.php"), method="POST")
    for _ in range(3):
        ask(warm_site, "used.php")
    assert "requests" in warmed(holdfast, 2)
    assert not [visit for visit in visits(warm_site) if visit[1]]
    assert "used.php" in eval(ask(warm_site, "state.php"))
    holdfast.stop()


def test_a_command(site):
    told = site.directory / "told"
    port = net.free_port()
    command = f"echo $HOLDFAST_WARM_ADDRESS $HOLDFAST_WARM_SOURCE >{told}"
    holdfast = site.holdfast(f"--listen=127.0.0.1:{port}", "--ready=notify", f"--warm=exec:{command}",
                             command=[HELPERS / "listen_fds_server.py"])
    assert warmed(holdfast, 2).startswith("warmed by 1 requests")
    assert told.read_text() == f"127.0.0.1:{port} 127.0.0.2\n"
    holdfast.stop()


def test_a_priority_that_cannot_be_lowered(site):
    """Another user's autogroup is not root's to change without CAP_DAC_OVERRIDE, which such a service does not need."""
    holdfast = site.holdfast(f"--listen=127.0.0.1:{net.free_port()}", "--user=nobody", "--ready=notify", "--warm=exec:true",
                             command=[HELPERS / "listen_fds_server.py"])
    assert warmed(holdfast, 2).endswith("; its priority could not be lowered (Permission denied)")
    holdfast.stop()


def test_the_time_is_bounded(warm_site):
    os.mkfifo(warm_site.marks / "never", 0o666)  # nobody writes to it
    write(warm_site, "slow.php", "<?php fopen(__DIR__ . '/../marks/never', 'r');")
    holdfast = warm_site.holdfast("--warm=fastcgi:/slow.php", f"--document-root={warm_site.root}", "--warm-timeout=500ms")
    assert "all that --warm-timeout allows" in warmed(holdfast, 2)
    holdfast.stop()


def test_priority_is_put_back(warm_site):
    write(warm_site, "nice.php", """<?php  // the kernel may take the change only a tenth of a second after another one
        for ($i = 0; $i < 1000 && !str_contains(file_get_contents('/proc/self/autogroup'), 'nice 19'); $i++) usleep(10000);
        file_put_contents(__DIR__ . '/../marks/nice', file_get_contents('/proc/self/autogroup'));""")
    holdfast = warm_site.holdfast("--warm=fastcgi:/nice.php", f"--document-root={warm_site.root}")
    warmed(holdfast, 2)
    main = warm_site.main_pid()
    workers = subprocess.run(["ps", "-o", "ni=", "--ppid", str(main)], capture_output=True, text=True).stdout.split()
    assert (warm_site.marks / "nice").read_text().endswith("nice 19\n")
    assert set(workers) == {str(os.nice(0))}
    with open(f"/proc/{main}/autogroup") as group:
        assert group.read().endswith("nice 0\n")
    holdfast.stop()


def nice_of_session(pid):
    with open(f"/proc/{pid}/autogroup") as group:
        return int(group.read().split()[-1])


def await_nice(holdfast, pid, nice):
    """The kernel takes a change of an autogroup each tenth of a second: asked until it has."""
    end = time.monotonic() + DEADLINE
    while nice_of_session(pid) != nice:
        assert time.monotonic() < end
        holdfast.call("status")


def keep_changing_one(until):
    """The kernel refuses everybody else's change of an autogroup for a tenth of a second after each."""
    other = process.Process(["sleep", str(DEADLINE)], start_new_session=True)  # ours may be in no autogroup
    while not until():
        with contextlib.suppress(BlockingIOError), open(f"/proc/{other.pid}/autogroup", "w") as group:
            group.write("0")
    other.stop()


def warming(site, holdfast):
    """A reload in the middle of a warm-up, by a page that takes its time; the pid of the new master."""
    with Appearance(site.marks / "slow") as asked:
        holdfast.send(signal.SIGHUP)
        asked.wait()
    pid, = [generation["pid"] for generation in json.loads(holdfast.call("status", "--json").stdout)["generations"]
            if generation["number"] == 2]
    await_nice(holdfast, pid, 19)
    return pid


def test_priority_of_one_that_must_serve_at_once(warm_site):
    """The one before dies during the warm-up, and the kernel takes no change of a priority just then."""
    os.mkfifo(warm_site.marks / "never", 0o666)  # nobody writes to it
    write(warm_site, "slow.php", "<?php touch(__DIR__ . '/../marks/slow'); fopen(__DIR__ . '/../marks/never', 'r');")
    holdfast = warm_site.holdfast("--warm=fastcgi:/slow.php", f"--document-root={warm_site.root}", "--warm-timeout=50s")
    before = warm_site.main_pid()
    after = warming(warm_site, holdfast)
    os.kill(before, signal.SIGSTOP)  # it would start others
    for worker in process.children(before):
        killed(worker)
    os.kill(before, signal.SIGKILL)
    keep_changing_one(until=lambda: holdfast.lines.find("generation 2 is active"))
    await_nice(holdfast, after, 0)
    holdfast.stop()


@pytest.mark.parametrize("chroot", [False, True])
def test_killed_during_a_warm_up(make_site, chroot):
    """Whoever is started next removes the script that compiles."""
    site = make_site(children=2, pool_options={})
    if chroot:
        site.pools[0].options["chroot"] = str(site.root)
    site.configure()
    os.mkfifo(site.root / "gate")
    write(site, "slow.php", "<?php touch(__DIR__ . '/met'); fopen(__DIR__ . '/gate', 'r');")
    site.root.chmod(0o777)
    root = "/" if chroot else str(site.root)
    holdfast = ManagedHoldfast(site, "--warm=fastcgi:/slow.php", f"--document-root={root}", "--warm-timeout=50s")
    site.at_close(holdfast.close)
    holdfast.start()
    directory = site.root if chroot else pathlib.Path(holdfast.runtime)

    def left():
        return [name for name in os.listdir(directory) if re.search(r"gen-2-.*\.php$", name)]

    with Appearance(site.root / "met") as met:
        holdfast.send(signal.SIGHUP)
        met.wait()
    assert left()
    holdfast.process.stop(signal.SIGKILL)
    holdfast.start()
    holdfast.wait("this one goes on with")
    holdfast.settle()
    assert not left()
    holdfast.stop()


# ---- the canary on the standby side ----


def test_a_canary_that_fails_ends_the_new_one(warm_site):
    healthz = write(warm_site, "healthz.php", "<?php echo 'well';")
    holdfast = warm_site.holdfast("--canary=fastcgi:/healthz.php", f"--document-root={warm_site.root}")
    assert holdfast.call("reload").returncode == 0
    before = warm_site.main_pid()
    healthz.write_text('<?php throw new Exception("out of cheese");')
    failed = holdfast.call("reload")
    assert failed.returncode == words.EXIT_FAILURE
    assert "it answered 500" in failed.stderr and "out of cheese" in failed.stderr
    assert warm_site.main_pid() == before
    assert ask(warm_site, "used.php") == "used"
    holdfast.stop()
