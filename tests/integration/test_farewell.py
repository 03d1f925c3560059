# SPDX-License-Identifier: MIT
"""The end: the service goes on for a while, waiting clients are served, and the exit status is the service's own."""
import os
import signal
import subprocess

import pytest

from harness import fastcgi, net, process, words
from harness.lines import Lines
from harness.paths import HOLDFAST
from harness.process import Process, environment
from harness.wait import Ended

SERVED_FIRST = "connections that wait in a queue are served first"
DELAYED = r"asked to stop: the service goes on for"


def script(site, text):
    path = site.directory / "program"
    path.write_text(text, newline="")
    path.chmod(0o755)
    return path


# ---- --stop-delay ----


@pytest.mark.load
def test_the_service_goes_on_for_the_delay(site):
    holdfast = site.holdfast("--stop-delay=1h")
    load = site.load()
    master = site.main_pid()
    holdfast.send(signal.SIGTERM)
    holdfast.wait(DELAYED)
    assert site.main_pid() == master
    holdfast.reload(2)
    load.assert_nothing_lost()
    holdfast.stop(signal.SIGQUIT)  # asked again: it drains at once


def test_the_delay_ends_by_itself(site):
    holdfast = site.holdfast("--stop-delay=300ms")
    slow = site.start_slow(ms=600)
    holdfast.stop()
    assert holdfast.lines.find(DELAYED)
    assert slow.get()[0] == 200


def test_a_caller_waits_for_the_delay_too(site):
    holdfast = site.holdfast("--stop-delay=300ms")
    result = holdfast.call("stop")
    assert result.returncode == 0, result.stderr
    holdfast.stop()


def test_a_crash_in_the_delay_is_mended(site):
    holdfast = site.holdfast("--stop-delay=1h")
    holdfast.send(signal.SIGTERM)
    holdfast.wait(DELAYED)
    with Ended(site.main_pid()) as master:
        signal.pidfd_send_signal(master.fd, signal.SIGKILL)
    holdfast.wait(words.ready(2))
    assert site.get()[0] == 200
    holdfast.stop()


def test_an_upgrade_does_not_forget_the_stop(site):
    holdfast = site.holdfast("--stop-delay=1h")
    holdfast.send(signal.SIGTERM)
    holdfast.wait(DELAYED)
    assert holdfast.call("upgrade").returncode != 0
    holdfast.stop()


@pytest.mark.long(37)
def test_a_caller_is_answered_when_everything_has_ended(site):
    """Even a process that ignores SIGTERM and holds a listener has ended."""
    left = site.directory / "left"
    os.mkfifo(left)
    inner = f'trap "" TERM; echo $$ >{left}; exec sleep 1000'
    program = script(site, f"#!/bin/sh\nsh -c '{inner}' &\nexec sleep 1000\n")
    site.pools[:] = []
    holdfast = site.holdfast(f"--listen=127.0.0.1:{net.free_port()}", "--kill-mode=all", "--ready=delay:1ms", command=[program])
    with Ended(int(left.read_text())) as stubborn:
        assert holdfast.call("stop").returncode == 0
        assert not stubborn.alive()
    holdfast.stop()


# ---- who waits in a queue ----


@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_who_waits_in_a_queue_is_served(make_site, listen):
    site = make_site(listen, children=1)
    holdfast = site.holdfast()
    slow = site.start_slow()
    waiting = [fastcgi.connect(site.address) for _ in range(10)]
    holdfast.send(signal.SIGTERM)
    holdfast.wait(SERVED_FIRST)
    assert slow.finish()[0] == 200
    for connection in waiting:
        with connection:
            assert fastcgi.request_over(connection, str(site.root / "hello.php"))[1].startswith("hello ")
    holdfast.process.wait()
    holdfast.stop()


def test_asked_again_it_does_not_wait_for_the_queue(make_site):
    site = make_site(children=1)
    holdfast = site.holdfast("--drain-timeout=10min")
    slow = site.start_slow()
    with fastcgi.connect(site.address), Ended(slow.worker) as worker:
        holdfast.send(signal.SIGTERM)
        holdfast.wait(SERVED_FIRST)
        holdfast.send(signal.SIGINT)
        worker.wait()
    holdfast.stop()
    assert slow.get()[0] == 502


# ---- --exit-with-service ----


def run(site, *options, service=None, command=None):
    site.pools[:] = []
    command = command or ["/bin/sh", "-c", service]
    return Process([HOLDFAST, "run", f"--name={site.name}", "--listen=none", "--exit-with-service", *options, "--", *command],
                   env=environment(), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("service, status", [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137),
                                             ("kill -SEGV $$", 139)])
def test_its_status_is_the_exit_status(site, service, status):
    """Once it was ready."""
    fifo = site.directory / "go"
    os.mkfifo(fifo)
    holdfast = run(site, "--ready=delay:1ms", service=f"ulimit -c 0; read line <{fifo}; {service}")
    lines = Lines(holdfast.popen.stderr)
    lines.wait(words.ready(1))
    with open(fifo, "w") as stream:
        stream.write("go\n")
    assert holdfast.wait() == status
    lines.join()
    assert lines.find(rf"ended by itself: it .*; holdfast ends with status {status} ")
    assert not os.path.exists(f"/run/holdfast/{site.name}")


def test_a_service_that_never_comes_up(site):
    holdfast = run(site, "--ready=notify", service="exit 7")
    lines = Lines(holdfast.popen.stderr)
    assert holdfast.wait() == 7
    lines.join()


@pytest.mark.parametrize("text, status", [("#!/bin/sh\r\nexit 0\n", 127), ("#!/no/such/interpreter\n", 127),
                                          ("\x7fELF for another machine", 126)])
def test_a_program_that_cannot_be_run(site, text, status):
    holdfast = run(site, "--ready=delay:1h", command=[script(site, text)])
    lines = Lines(holdfast.popen.stderr)
    assert holdfast.wait() == status
    lines.join()
    assert lines.find(f"holdfast ends with status {status} ")
    assert bool(lines.find("it is there, but the interpreter that its first line names")) == (status == 127)


def test_a_program_that_is_removed_is_no_missing_interpreter(site):
    program = script(site, "#!/bin/sh\nexec sleep 60\n")
    holdfast = site.holdfast(f"--listen=127.0.0.1:{net.free_port()}", "--ready=delay:1ms", command=[program])
    program.unlink()
    result = holdfast.call("reload")
    assert result.returncode == words.EXIT_FAILURE and "there is no program" in result.stderr
    holdfast.stop()


def test_a_directory_that_is_missing(site):
    holdfast = run(site, "--ready=delay:1h", f"--directory={site.directory}/missing", service="exit 0")
    lines = Lines(holdfast.popen.stderr)
    assert holdfast.wait() == 127
    lines.join()
    assert lines.find("its working directory cannot be entered")


def test_a_first_start_that_is_never_ready(site):
    holdfast = run(site, "--ready=notify", "--ready-timeout=50ms", service="exec sleep 1000")
    lines = Lines(holdfast.popen.stderr)
    assert holdfast.wait() == 1
    lines.join()
    assert lines.find("not ready after 50 ms")
    assert lines.find("the service has ended by itself: it did not start; holdfast ends with status 1 ")


def test_a_failed_restart_is_no_end_of_the_service(site):
    """It fails after the old generation was stopped: another start follows."""
    broken = site.directory / "broken"
    program = script(site, f"#!/bin/sh\n[ ! -e {broken} ] || exit 9\nexec sleep 1000\n")
    site.pools[:] = []
    holdfast = site.holdfast("--listen=none", "--exit-with-service", "--ready=delay:300ms", command=[program])
    broken.touch()
    result = holdfast.call("restart")
    assert result.returncode == words.EXIT_FAILURE and "exited with status 9" in result.stderr
    broken.unlink()
    holdfast.wait(words.ready(r"\d+"), holdfast.mark())
    holdfast.stop()


def test_its_end_is_no_second_signal(site):
    """The processes that it left behind have the whole drain timeout."""
    holdfast = site.holdfast("--exit-with-service", "--stop-delay=1h")
    slow = site.start_slow(ms=800)
    holdfast.send(signal.SIGTERM)
    holdfast.wait(DELAYED)
    with Ended(site.main_pid()) as master:
        signal.pidfd_send_signal(master.fd, signal.SIGKILL)
    assert holdfast.process.wait() == 128 + signal.SIGKILL
    assert slow.get()[0] == 200
    assert not holdfast.lines.find("is still there, it is sent")


def test_a_stop_and_a_replacement_are_no_end_of_the_service(site):
    holdfast = site.holdfast("--exit-with-service")
    master = site.main_pid()
    holdfast.replace(2)
    holdfast.restart()
    holdfast.wait(words.ready(3))
    assert site.main_pid() != master
    holdfast.stop()


def test_a_failed_reload_is_no_end_of_the_service(site):
    holdfast = site.holdfast("--exit-with-service")
    site.break_configuration()
    assert holdfast.call("reload").returncode != 0
    assert site.get()[0] == 200
    site.configure()
    holdfast.stop()


def test_what_it_left_behind_ends_first(site):
    holdfast = site.holdfast("--exit-with-service")
    slow = site.start_slow(ms=800)
    with Ended(site.main_pid()) as master:
        signal.pidfd_send_signal(master.fd, signal.SIGKILL)
    assert holdfast.process.wait() == 128 + signal.SIGKILL
    assert slow.get()[0] == 200
    assert not process.strays()
