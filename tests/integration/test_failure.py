# SPDX-License-Identifier: MIT
"""What goes wrong: a bad deploy, a killed master, a leaked process."""
import shutil
import signal

import pytest

from harness import fastcgi, net, process, words
from harness.holdfast import Holdfast
from harness.manager import ManagedHoldfast, killed
from harness.paths import PHP_FPM_PLAIN, RUNTIME
from harness.phpfpm import Pool
from harness.process import descriptors
from harness.site import Site
from harness.wait import Ended


@pytest.mark.load
def test_broken_configuration_at_reload(site):
    """The old generation goes on serving, and php-fpm's own error is shown."""
    holdfast = site.holdfast()
    old = site.main_pid()
    load = site.load()
    site.break_configuration()
    start = holdfast.mark()
    holdfast.send(signal.SIGHUP)
    holdfast.wait(r"no_such_setting", start)
    result = holdfast.call("reload")
    assert result.returncode == words.EXIT_FAILURE
    assert "no_such_setting" in result.stderr
    assert site.main_pid() == old
    load.assert_nothing_lost()
    assert {entry["body"].split()[1] for entry in load.result["ledger"]} == {str(old)}
    site.configure()
    assert holdfast.call("reload").returncode == 0
    holdfast.wait(words.gone(1))
    assert site.main_pid() != old
    holdfast.stop()


def test_broken_configuration_at_restart(site):
    holdfast = site.holdfast()
    old = site.main_pid()
    site.break_configuration()
    result = holdfast.call("restart")
    assert result.returncode == words.EXIT_FAILURE
    assert "no_such_setting" in result.stderr
    assert site.main_pid() == old


@pytest.mark.load
def test_killed_master_under_load(site):
    """Its workers finish their requests and leave; the next generation takes over at once."""
    holdfast = site.holdfast()
    load = site.load()
    master = site.main_pid()
    orphans = [Ended(pid) for pid in process.children(master)]
    assert len(orphans) == site.pools[0].children + 1  # who keeps the cache is one as well
    with Ended(master) as held:
        signal.pidfd_send_signal(held.fd, signal.SIGKILL)
    holdfast.wait(words.crashed(1))
    holdfast.wait(words.ready(2))
    for orphan in orphans:
        orphan.wait()
        orphan.close()
    holdfast.wait(words.gone(1))
    assert site.main_pid() != master
    load.assert_nothing_lost()
    holdfast.stop()


@pytest.mark.load
def test_killed_master_again_and_again(site):
    holdfast = site.holdfast()
    load = site.load()
    for number in range(1, 4):
        with Ended(site.main_pid()) as held:
            signal.pidfd_send_signal(held.fd, signal.SIGKILL)
        holdfast.wait(words.crashed(number))
        holdfast.wait(words.ready(number + 1))
        holdfast.wait(words.gone(number))
    load.assert_nothing_lost()
    holdfast.stop()


def test_a_service_that_cannot_come_back_is_tried_until_it_can(site):
    """The socket is held all the time: a request that arrives in the gap is answered after the repair."""
    holdfast = site.holdfast()
    master = site.main_pid()
    site.break_configuration()
    workers = [Ended(pid) for pid in process.children(master)]
    with Ended(master) as held:
        signal.pidfd_send_signal(held.fd, signal.SIGKILL)
    holdfast.wait(words.start_failed(2))
    for worker in workers:
        worker.wait()
        worker.close()
    waiting = site.get_later("/hello.php")
    site.configure()
    status, body = waiting.get()
    assert status == 200 and int(body.split()[1]) != master
    holdfast.stop()


def test_leaked_process_survives_a_restart_and_ends_with_the_stop(site):
    """It holds the listening socket, which keeps a plain php-fpm from starting again."""
    holdfast = site.holdfast("--drain-timeout=3s")
    old = site.main_pid()
    leaked = int(site.get("/leak.php")[1].split()[1])
    assert any(target.startswith("socket:") for target in descriptors(leaked).values())
    with Ended(leaked) as sleeper:
        holdfast.restart()
        assert site.main_pid() != old
        assert sleeper.alive()
        holdfast.reload(3)
        assert sleeper.alive()
        holdfast.stop()
        assert not sleeper.alive()


def test_master_dies_while_holdfast_has_no_descriptors(site):
    """Its workers are asked to finish as soon as that is possible."""
    holdfast = site.holdfast("--drain-timeout=5min", "--backoff-max=1s")
    master = site.main_pid()
    slow = site.start_slow()
    with process.exhausted(holdfast.pid):
        killed(master)
        holdfast.wait(r"the processes of generation 1 cannot be watched")
    assert slow.finish()[0] == 200
    holdfast.wait(words.gone(1))
    assert site.main_pid() != master
    holdfast.stop()


def test_holdfast_dies_as_well(site):
    """The next holdfast knows that they have not been asked to leave."""
    holdfast = ManagedHoldfast(site, "--drain-timeout=5min", "--backoff-max=1s")
    site.at_close(holdfast.close)
    holdfast.start()
    with process.exhausted(holdfast.pid):
        killed(site.main_pid())
        holdfast.wait(r"no generation serves; the next start is tried")
        holdfast.process.stop(signal.SIGKILL)
    holdfast.start()
    holdfast.wait(words.gone(1))
    holdfast.stop()


def never_ready(site):
    """A php-fpm that serves and is not seen to be ready."""
    holdfast = Holdfast(site, ["--adapter=php-fpm", "--ready=delay:1h", "--ready-timeout=2h"],
                        [PHP_FPM_PLAIN, "-y", site.configuration_path])
    site.at_close(holdfast.close)
    holdfast.launch()
    holdfast.wait(r"using inherited socket")
    return holdfast


def test_master_dies_before_it_is_ready(site):
    """Its workers serve already, and finish their requests."""
    holdfast = never_ready(site)
    slow = site.start_slow()
    killed(process.stat(slow.worker)[1])
    holdfast.wait(words.start_failed(1))
    holdfast.settle()
    assert not slow.done()
    assert slow.finish()[0] == 200
    holdfast.wait(words.gone(1))
    holdfast.stop()


def test_stop_before_it_is_ready(site):
    """The same with a stop."""
    holdfast = never_ready(site)
    slow = site.start_slow()
    holdfast.send(signal.SIGTERM)
    holdfast.wait("stopping")
    holdfast.settle()
    assert not slow.done()
    assert slow.finish()[0] == 200
    assert holdfast.process.wait() == 0


@pytest.mark.load
@pytest.mark.parametrize("number, restarted", [(signal.SIGUSR2, 1), (signal.SIGKILL, 2)], ids=["usr2", "crash"])
@pytest.mark.parametrize("path", [False, True], ids=["tcp", "unix"])
def test_what_php_fpm_bound_by_itself(make_site, number, restarted, path):
    """A pool was added, and php-fpm was started anew before a reload could bind its address: every later reload and
    restart has it, and nothing is lost."""
    site = make_site("unix" if path else "tcp", children=4)
    holdfast = site.holdfast()
    listen = str(site.directory / "added.sock") if path else f"127.0.0.1:{net.free_port()}"
    site.pools.append(Pool(listen, "added", 4))
    site.address = site.pools[1].listen
    site.configure()
    start = holdfast.mark()
    with Ended(int(next(holdfast.runtime.glob("gen-1-*.pid")).read_text())) as master:
        signal.pidfd_send_signal(master.fd, number)
    holdfast.wait("using inherited socket", start)
    if number == signal.SIGKILL:  # until then the workers of the dead one answer
        holdfast.wait(words.ready(2), start)
    # it has bound them all before any worker is there to answer
    assert fastcgi.request(site.pools[0].listen, str(site.root / "hello.php"))[1].startswith("hello ")
    load = site.load()
    for reload in range(restarted + 1, restarted + 4):
        holdfast.replace(reload)
    holdfast.restart()
    holdfast.replace(restarted + 5)
    load.assert_nothing_lost()
    holdfast.stop()


def remove_a_pool(site):
    del site.pools[1]
    site.configure()


@pytest.mark.load
@pytest.mark.parametrize("change", [Site.break_configuration, lambda site: site.configuration_path.unlink(), remove_a_pool],
                         ids=["broken", "gone", "pool-removed"])
def test_a_crash_after_the_configuration_was_changed(make_site, change):
    """php-fpm cannot start from what is left of its files, yet everything is served again at once, as it was; and once
    they are repaired a reload takes them."""
    site = make_site(pools=[Pool(f"127.0.0.1:{net.free_port()}", name, 4) for name in ("www", "other")])
    site.pools[0].options["env[PASSWORD]"] = "secret"
    site.configure()
    holdfast = site.holdfast()
    load = site.load()
    pools = list(site.pools)
    change(site)
    with Ended(site.main_pid()) as master:
        signal.pidfd_send_signal(master.fd, signal.SIGKILL)
    holdfast.wait(words.ready(3))
    for pool in site.pools:  # as they are when that can be started
        assert fastcgi.request(pool.listen, str(site.root / "hello.php"))[1].startswith("hello ")
    overlay, = holdfast.runtime.glob("gen-3-*.conf")  # the configuration as it was, and nobody else's business
    assert ("secret" in overlay.read_text()) == (change is not remove_a_pool)
    assert overlay.stat().st_mode & 0o777 == 0o600
    site.pools = pools
    site.configure()
    holdfast.replace(4)
    load.assert_nothing_lost()
    holdfast.stop()


@pytest.mark.load
def test_reloads_that_fail_for_want_of_descriptors(site):
    """However far each of them gets, the next one succeeds once there are descriptors again, and so does the stop."""
    holdfast = site.holdfast()
    for few in range(3):
        with process.exhausted(holdfast.pid, few):
            assert [holdfast.call("reload").returncode for _ in range(2)] == [words.EXIT_FAILURE] * 2
        assert holdfast.call("reload").returncode == 0
    holdfast.stop()


# ---- a first start that fails, under a systemd that would start it again at once ----

def first_start(site, **more):
    """In the runtime directory that systemd keeps between two starts."""
    holdfast = Holdfast(site, (), None, env={"RUNTIME_DIRECTORY": str(RUNTIME / site.name), **more})
    site.instances.append(holdfast)
    holdfast.launch()
    return holdfast


def test_first_starts_that_fail_end_later_and_later(site):
    directory = RUNTIME / site.name
    directory.mkdir(parents=True)
    site.break_configuration()
    try:
        for number, delay in ((1, None), (2, "100 ms"), (3, "200 ms"), (4, "400 ms")):
            holdfast = first_start(site)
            assert holdfast.process.wait() == words.EXIT_FAILURE
            holdfast.lines.join()
            said = f"holdfast[{site.name}]: the first start has failed {number} times in a row: holdfast ends in {delay}"
            assert holdfast.lines.find("the first start has failed") == ([said] if delay else [])
        # what ends it ends it at once
        (directory / "failures").write_text("20")
        holdfast = first_start(site)
        holdfast.wait("has failed 21 times in a row: holdfast ends in 30 s")
        assert holdfast.process.stop() == words.EXIT_FAILURE
        # one that serves is the end of the row
        site.configure()
        holdfast = first_start(site)
        holdfast.wait(words.ready(1))
        assert holdfast.process.stop() == 0 and not (directory / "failures").exists()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def test_nobody_waits_for_the_end_elsewhere(site):
    """A directory that is holdfast's own ends with it, and remembers nothing."""
    site.break_configuration()
    for _ in range(2):
        holdfast = Holdfast(site, (), None)
        site.instances.append(holdfast)
        holdfast.launch()
        assert holdfast.process.wait() == words.EXIT_FAILURE
        holdfast.lines.join()
        assert not holdfast.lines.find("first start has failed") and not (RUNTIME / site.name).exists()
