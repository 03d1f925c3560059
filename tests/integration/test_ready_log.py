# SPDX-License-Identifier: MIT
"""--ready=log:TEXT: a service that reports only in its log that it is ready, and the relay that reads it."""
import os
import pathlib
import re
import signal

import pytest

from harness import process, words
from harness.wait import Ended

READY = "log:now listening"

# Whoever logs much may fill the pipe, and what holdfast itself has to say while nobody reads is dropped. So what is
# waited for beside log-much is what it wrote, answers and ends of processes; holdfast's lines only once all is read.


def relays(holdfast):
    return [pid for pid in process.children(holdfast.pid) if "--relay" in process.command_line(pid)]


def own_lines_cut_out(holdfast):
    """What came without what holdfast itself said, which may come between the pieces."""
    return re.sub(r"holdfast\[.*\n", "", f"{holdfast.lines.text()}\n")


def reload(holdfast):
    result = holdfast.call("reload")
    assert result.returncode == 0, result.stderr


def test_a_text_that_comes_late_and_in_two_pieces(service):
    service.behave("log-ready", f"--trigger={service.fifo}")
    holdfast = service.launch(ready=READY)
    holdfast.wait(r"misbehave \d+: waits")
    holdfast.settle()
    assert not holdfast.lines.find(words.ready(1))
    service.trigger()
    holdfast.wait(words.ready(1))
    holdfast.wait("tening$")
    assert "now listening\n" in own_lines_cut_out(holdfast)
    holdfast.stop()


def test_a_text_that_never_comes(service):
    """READY=1 does not replace it."""
    service.behave("serve")
    holdfast = service.launch("--ready-timeout=500ms", ready=READY)
    assert "not ready after 500 ms" in holdfast.wait(words.start_failed(1))
    holdfast.stop()


def test_everything_arrives(service):
    """In order, from the first line to the last one as it leaves, at each change of generations."""
    holdfast = service.start(behaviour=["log-much"], ready=READY)
    with Ended(service.ask()) as first:
        reload(holdfast)
        first.wait()
    holdfast.stop()
    text = own_lines_cut_out(holdfast)
    assert text.count("last words\n") == 2
    # what the first one says when it leaves may come between the pieces of what the second one writes
    once = "".join(f"line {number}\n" for number in range(20000)) + "now listening\n"
    assert text.replace("last words\n", "") == 2 * once


def test_the_relay_has_nothing_of_the_service(service):
    """It holds no socket, belongs to no generation, reacts to no signal but KILL, and exits by itself."""
    holdfast = service.start(behaviour=["log-much"], ready=READY)
    (relay,) = relays(holdfast)
    held = process.descriptors(relay)
    assert not [target for target in held.values() if target.startswith("socket:")], held
    with Ended(relay) as ended:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.pidfd_send_signal(ended.fd, number)
        reload(holdfast)
        ended.wait()
    assert len(relays(holdfast)) == 1
    holdfast.wait("last words")
    holdfast.stop()


def test_a_relay_that_is_killed_is_told(service):
    holdfast = service.start(behaviour=["log-much"], ready=READY)
    holdfast.wait("^now listening$")
    (relay,) = relays(holdfast)
    with Ended(relay) as ended:
        signal.pidfd_send_signal(ended.fd, signal.SIGKILL)
    holdfast.wait("the relay of generation 1 has died; what the generation writes is lost")
    assert service.ask()
    holdfast.stop()


def test_the_output_outlives_holdfast(service):
    """Output that the service writes after holdfast was killed arrives, too."""
    holdfast = service.start(behaviour=["log-much"], ready=READY)
    with Ended(service.ask()) as main:
        holdfast.process.stop(signal.SIGKILL)
        signal.pidfd_send_signal(main.fd, signal.SIGTERM)
        main.wait()
    holdfast.wait("last words")
    holdfast.lines.join()


@pytest.mark.load
def test_php_fpm_as_official_images_log(make_site):
    """Its text, error_log = /proc/self/fd/2, under load; nothing is lost or left behind."""
    site = make_site(error_log="/proc/self/fd/2")
    holdfast = site.holdfast("--ready=log:ready to handle connections")
    load = site.load()
    for number in (2, 3):
        holdfast.replace(number)
    load.assert_nothing_lost()
    holdfast.stop()
    said = holdfast.lines.find("ready to handle connections")
    assert len(said) == 3 and all(re.match(r"\[\d\d-\w+-\d{4} ", line) for line in said), said


def test_another_user_may_open_its_output(service):
    """By /proc/self/fd/2, as logs are often set."""
    holdfast = service.start("--user=65534", "--group=65534", behaviour=["log-reopened"], ready=READY)
    holdfast.wait("^now listening$")
    assert os.stat(f"/proc/{service.ask()}").st_uid == 65534
    holdfast.stop()


def test_the_relay_is_nobody(service):
    """It reads what the service writes, and needs no more than what it has open."""
    holdfast = service.start(behaviour=["log-much"], ready=READY)
    relay, = relays(holdfast)
    fields = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{relay}/status").read_text().splitlines()
                  if ":\t" in line)
    assert fields["Uid"].split() == ["65534"] * 4 and int(fields["CapBnd"], 16) == 0 and fields["Seccomp"] == "2"
    holdfast.stop()
