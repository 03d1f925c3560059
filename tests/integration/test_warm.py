# SPDX-License-Identifier: MIT
"""--warm=auto: the scripts in the old generation's opcode cache are compiled in the next one before it serves."""
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from harness import fastcgi, net, process, warming, words
from harness.manager import ManagedHoldfast, killed
from harness.phpfpm import Pool
from harness.wait import Appearance, Ended
from harness.warming import WARMED, ask, warmed, write


@pytest.fixture
def warm_site(make_site):
    return warming.make(make_site)


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


def after_a_crash(holdfast, number):
    """What generation number says of its warm-up, which follows one whose main process is killed. None of its
    processes is left."""
    if number > 2:
        holdfast.wait(words.gone(number - 2))
    [master] = [pid for pid in process.children(holdfast.pid) if process.command_line(pid).startswith("php-fpm: master")]
    ends = [Ended(pid) for pid in process.children(master)]
    killed(master)
    report = re.search(WARMED.format(number), holdfast.wait(WARMED.format(number))).group(1)
    holdfast.wait(words.ready(number))
    for end in ends:
        with end:
            end.wait()
    holdfast.wait(words.gone(number - 1))
    return report


def test_after_a_crash_of_the_master(warm_site):
    """There was no reload before: a worker that does nothing else has outlived the master, and lists the cache."""
    holdfast = warm_site.holdfast()
    ask(warm_site, "used.php")
    ask(warm_site, "executed.php")
    for number in (2, 3):
        report = after_a_crash(holdfast, number)
        assert re.fullmatch(r"warmed ([1-9]) of \1 scripts in [\d.]+ m?s", report), report
    assert (warm_site.marks / "executed").read_text() == "x"
    assert {"used.php", "executed.php"} <= set(eval(ask(warm_site, "state.php")))
    assert not [name for name in os.listdir(holdfast.runtime) if name.endswith(".php")]
    holdfast.stop()


def test_after_a_crash_on_demand(warm_site):
    warm_site.pools[0].options.update({"pm": "ondemand", "pm.process_idle_timeout": "60s"})
    warm_site.configure()
    holdfast = warm_site.holdfast()
    ask(warm_site, "used.php")
    report = after_a_crash(holdfast, 2)
    assert re.fullmatch(r"warmed ([1-9]) of \1 scripts in [\d.]+ m?s", report), report
    holdfast.stop()


def test_none(warm_site):
    holdfast = warm_site.holdfast("--warm=none")
    ask(warm_site, "used.php")
    assert holdfast.call("reload").returncode == 0
    assert "used.php" not in eval(ask(warm_site, "state.php"))
    holdfast.stop()


@pytest.mark.parametrize("option", [
    "auto_prepend_file={root}/prepend.php", "open_basedir={root}", "opcache.restrict_api=/nowhere"])
@pytest.mark.parametrize("where", ["of the pool", "of all"])
def test_settings_that_do_not_concern_it(warm_site, option, where):
    write(warm_site, "prepend.php", "<?php file_put_contents(__DIR__ . '/../marks/prepended', 'x', FILE_APPEND);")
    name, _, value = option.format(root=warm_site.root).partition("=")
    if where == "of the pool":
        warm_site.pools[0].options[f"php_admin_value[{name}]"] = value
    warm_site.pools[0].options["security.limit_extensions"] = ".page"
    write(warm_site, "used.page", "<?php echo 'used';")
    warm_site.configure()
    holdfast = warm_site.holdfast(command=[*warm_site.command, *(["-d", f"{name}={value}"] if where == "of all" else [])])
    assert ask(warm_site, "used.page") == "used"
    mark = warm_site.marks / "prepended"
    before = mark.read_text() if mark.exists() else None
    assert re.match(r"warmed ([1-9]) of \1 scripts", warmed(holdfast, 2))
    assert (mark.read_text() if mark.exists() else None) == before
    holdfast.stop()


@pytest.mark.parametrize("arguments, reason", [
    (["-d", "opcache.enable=0"], "opcache is off; set opcache.enable=1"),
    (["-d", "disable_functions=opcache_compile_file"], "opcache_compile_file is disabled; take it out of disable_functions"),
    (["-d", "disable_functions=opcache_get_status"], "opcache_get_status is disabled; take it out of disable_functions")])
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


def test_scripts_that_declare_the_same(warm_site):
    """One request cannot have two of them, and one that never compiles keeps none from it."""
    for number in range(9):
        write(warm_site, f"same{number}.php", f"<?php function same() {{ return {number}; }} class Same {{}} echo same();")
    write(warm_site, "broken.php", "<?php echo 'whole';")
    holdfast = warm_site.holdfast()
    assert [ask(warm_site, f"same{number}.php") for number in range(9)] == list("012345678")
    ask(warm_site, "broken.php")
    write(warm_site, "broken.php", "<?php interface I {} class A implements I, I {} const B = 1; const B = 2; function f($a, $a) {}")
    assert re.fullmatch(r"warmed 9 of 10 scripts in [\d.]+ m?s", warmed(holdfast, 2))
    assert {f"same{number}.php" for number in range(9)} <= set(eval(ask(warm_site, "state.php")))
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


@pytest.mark.parametrize("option", ["--document-root={}/public", "--canary-root={}/public", "--directory={}"])
def test_a_deploy_that_moves_a_link(warm_site, option):
    for release in "12":
        write(warm_site, f"releases/{release}/vendor/lib.php", f"<?php function lib() {{ return {release}; }}")
        write(warm_site, f"releases/{release}/public/app.php",
              "<?php require __DIR__ . '/../vendor/lib.php'; echo lib();")
    link = warm_site.root / "current"
    link.symlink_to(warm_site.root / "releases/1")
    holdfast = warm_site.holdfast(option.format(link))
    ask(warm_site, "current/public/app.php")
    link.unlink()
    link.symlink_to(warm_site.root / "releases/2")
    assert warmed(holdfast, 2).startswith("warmed 2 of 2 scripts")
    write(warm_site, "paths.php", "<?php echo json_encode(array_keys(opcache_get_status(true)['scripts']));")
    paths = eval(ask(warm_site, "paths.php").replace("\\/", "/"))
    assert f"{warm_site.root}/releases/2/vendor/lib.php" in paths
    assert not [path for path in paths if "/releases/1/" in path]
    holdfast.stop()


def many(site, count, size=0):
    """So many scripts, and one that runs them all: each has a text of that size, or is the same file by another name."""
    first = write(site, "many/0.php", "<?php return 1;")
    for number in range(1, count):
        if size:
            write(site, f"many/{number}.php", f"<?php return '{number}{'x' * size}';")
        else:
            os.link(first, first.with_name(f"{number}.php"))
    write(site, "all.php", f"<?php for ($i = 0; $i < {count}; $i++) require __DIR__ . \"/many/$i.php\";")


def limits(site, **values):
    """The site's command with these limits of the opcode cache."""
    return [*site.command, *(word for name, value in values.items() for word in ("-d", f"opcache.{name}={value}"))]


def test_many_scripts(warm_site):
    """Beside a busy machine, at the lowest priority, not all of them in time."""
    many(warm_site, 20_000)
    holdfast = warm_site.holdfast("--warm-timeout=5s", "--warm-parallel=2",
                                  command=limits(warm_site, max_accelerated_files=30_000, memory_consumption=512))
    ask(warm_site, "all.php")
    report = warmed(holdfast, 2)
    scripts, = re.match(r"warmed (\d+) of 20001 scripts", report).groups()
    assert scripts == "20001" or report.endswith(", all that --warm-timeout allows"), report
    holdfast.stop()


@pytest.mark.parametrize("limit, size", [  # the least that it takes: 223 keys, 8 MB
    pytest.param({"max_accelerated_files": 200}, 0, id="keys"),
    pytest.param({"memory_consumption": 8, "interned_strings_buffer": 1}, 20_000, id="memory")])
def test_a_cache_that_is_nearly_full(warm_site, limit, size):
    """The scripts used most are there, and some room is left for others."""
    many(warm_site, 450, size)
    holdfast = warm_site.holdfast(command=limits(warm_site, **limit))
    for _ in range(5):
        ask(warm_site, "used.php")
    ask(warm_site, "all.php")
    report = warmed(holdfast, 2)
    scripts, listed = map(int, re.match(r"warmed (\d+) of (\d+) scripts", report).groups())
    assert 0 < scripts < listed <= 451, report
    assert "; the opcode cache is nearly full; raise opcache.memory_consumption or opcache.max_accelerated_files" in report
    assert "used.php" in eval(ask(warm_site, "state.php"))
    holdfast.stop()


def test_preload(warm_site):
    """Preloaded scripts are there already, and nothing is preloaded twice."""
    library = write(warm_site, "library.php", "<?php function library() { return 'l'; }")
    preload = write(warm_site, "preload.php", f"<?php opcache_compile_file('{library}'); file_put_contents("
                    f"'{warm_site.marks}/preloaded', 'x', FILE_APPEND);")
    holdfast = warm_site.holdfast(command=limits(warm_site, preload=preload, preload_user="www-data"))
    ask(warm_site, "used.php")
    mark = warm_site.marks / "preloaded"
    assert mark.read_text() == "x"
    assert re.match(r"warmed (\d+) of \1 scripts", warmed(holdfast, 2))
    assert mark.read_text() == "xx"
    assert {"used.php", "library.php"} <= set(eval(ask(warm_site, "state.php")))
    holdfast.stop()


def test_tenants(make_site):
    """A user's worker does not learn of scripts that the user cannot read; pools that share a user are warmed once."""
    users = ["www-data", "nobody", "games", "man", "www-data", "games"]
    pools = [Pool(f"127.0.0.1:{net.free_port()}", f"p{number}", children=1, user=user) for number, user in enumerate(users)]
    pools[1].options["group"] = "nogroup"
    site = make_site(pools=pools)
    for pool in pools:
        path = write(site, f"{pool.name}.php", f"<?php echo '{pool.name}';")
        subprocess.run(["chown", pool.user, path], check=True)
        path.chmod(0o600)
    holdfast = site.holdfast("--warm-timeout=50s")
    for pool in pools:
        assert ask(site, f"{pool.name}.php", pool.listen) == pool.name
    assert warmed(holdfast, 2).startswith("warmed 6 of 6 scripts")
    with open(f"{holdfast.runtime}/{next(n for n in os.listdir(holdfast.runtime) if n.startswith('gen-2-') and n.endswith('.conf'))}") as overlay:
        assert overlay.read().count("[holdfast-warm-") == len(set(users))
    assert after_a_crash(holdfast, 3).startswith("warmed 6 of 6 scripts")
    holdfast.stop()


def test_a_chroot(make_site):
    site = make_site(children=1, pool_options={})
    site.pools[0].options["chroot"] = str(site.root)
    site.configure()
    write(site, "used.php", "<?php echo 'used';")
    holdfast = site.holdfast("--warm-timeout=50s")
    assert fastcgi.request(site.address, "/used.php")[1] == "used"
    assert warmed(holdfast, 2).startswith("warmed 1 of 1 scripts")
    assert after_a_crash(holdfast, 3).startswith("warmed 1 of 1 scripts")
    assert not [name for name in os.listdir(site.root) if name.startswith(".holdfast")]
    holdfast.stop()


@pytest.mark.parametrize("chroot", [False, True])
def test_killed_during_a_warm_up(make_site, chroot):
    """The next holdfast removes the script that compiles."""
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
    gate = os.open(site.root / "gate", os.O_RDWR)  # nobody waits any more
    site.at_close(lambda: os.close(gate))
    holdfast.start()
    holdfast.wait("this one continues with")
    holdfast.settle()
    assert not left()
    holdfast.stop()
