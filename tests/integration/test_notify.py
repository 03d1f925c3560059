# SPDX-License-Identifier: MIT
"""What a service says on its notify socket, and whose messages count."""
import array
import contextlib
import os
import signal
import socket
import subprocess

import pytest

from harness import process, words
from harness.paths import HOLDFAST
from harness.process import environment
from harness.wait import DEADLINE, Ended


def say(holdfast, text, fds=()):
    """As a process that belongs to no generation."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sender.sendmsg([text.encode()], ancillary, 0, str(holdfast.runtime / "notify"))


def test_a_child_is_believed_with_all(service):
    service.behave("child-ready")
    holdfast = service.launch("--notify-access=all")
    holdfast.wait(words.ready(1))
    holdfast.stop()


def test_a_child_is_not_believed_by_default(service):
    service.behave("child-ready", f"--trigger={service.fifo}")
    holdfast = service.launch()
    holdfast.wait(r"misbehave \d+: the child has spoken")
    main, = process.children(holdfast.pid)
    holdfast.wait(rf"READY=1 from python3.* \(\d+\) is ignored: it is not the main process of generation 1 \({main}\); "
                  "--notify-access=all accepts it from every process of the session")
    holdfast.settle()
    assert not holdfast.lines.find(words.ready(1))
    service.trigger()
    holdfast.wait(words.ready(1))
    holdfast.stop()


@pytest.mark.parametrize("access", ["main", "all"])
def test_strangers_are_not_believed(service, access):
    """Processes of another session, as root and as another user; nor does a flood of messages keep anybody waiting."""
    service.behave("late", f"--trigger={service.fifo}")
    holdfast = service.launch(f"--notify-access={access}")
    holdfast.wait(r"misbehave \d+: waits")
    for _ in range(2000):
        say(holdfast, f"READY=1\nSTOPPING=1\nMAINPID={os.getpid()}\nEXTEND_TIMEOUT_USEC=1")
    program = "import socket,sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', sys.argv[1])"
    subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", program,
                    str(holdfast.runtime / "notify")], env=environment(), timeout=DEADLINE, check=False)
    holdfast.settle()
    assert not holdfast.lines.find(words.ready(1))
    service.trigger()
    holdfast.wait(words.ready(1))
    assert not holdfast.lines.find("MAINPID|leaves by itself")
    rule = "it is not the main process" if access == "main" else "it does not belong to the session"
    line, = holdfast.lines.find(r"READY=1 from .* is ignored")
    assert rule in line
    holdfast.stop()


LONG_QUEUE = 'ip link set lo up && echo 512 >/proc/sys/net/unix/max_dgram_qlen && exec "$0" "$@"'


def test_last_words_without_end_are_heard_once(service):
    """450 datagrams of three messages each, all of them waiting when the process that sent them has ended."""
    service.behave("flood")
    holdfast = service.launch(wrapper=("unshare", "-n", "sh", "-c", LONG_QUEUE, HOLDFAST))
    holdfast.wait(words.ready(1))
    service.behave("serve")
    service.site.notify.wait("READY=1", holdfast.process.ended)
    holdfast.stop()


def test_descriptors_that_come_along_are_closed(service):
    holdfast = service.start()
    with open("/dev/zero", "rb") as zero:
        for _ in range(1000):
            say(holdfast, "FDSTORE=1", [zero.fileno()] * 4)
    with holdfast.settled():
        assert "/dev/zero" not in process.descriptors(holdfast.pid).values()
    holdfast.stop()


def test_a_main_process_that_hands_over_and_leaves(service):
    """It names its successor (MAINPID=) and exits: this is not a crash; signals go to the other process, whose exit counts."""
    holdfast = service.start(behaviour=["hand-over"])
    main = int(holdfast.wait(r"the main process of generation 1 is pid \d+").split("pid ")[1].split()[0])
    assert service.ask() == main
    for pid in process.children(holdfast.pid):
        if pid != main:
            with contextlib.suppress(ProcessLookupError), Ended(pid) as first:
                first.wait()
    holdfast.settle()
    assert process.children(holdfast.pid) == [main]
    assert not holdfast.lines.find("crashed")
    service.behave("serve")
    holdfast.replace(2)
    assert holdfast.lines.find(rf"misbehave {main}: leaves as asked")
    assert not holdfast.lines.find("crashed")
    holdfast.stop()


def test_a_main_process_that_was_handed_over_to_crashes(service):
    holdfast = service.start(behaviour=["hand-over"])
    service.behave("serve")
    with Ended(service.ask()) as main:
        holdfast.wait(rf"the main process of generation 1 is pid {main.pid}")
        signal.pidfd_send_signal(main.fd, signal.SIGKILL)
        holdfast.wait(words.crashed(1) + r".*(killed by signal 9|ended)")
    holdfast.wait(words.ready(2))
    assert service.ask()
    holdfast.stop()


def test_a_main_process_that_stays_beside_the_one_it_named(service):
    """That one is a grandchild of holdfast, and its end is noticed nevertheless."""
    holdfast = service.start(behaviour=["hand-over-and-stay"])
    service.behave("serve")
    with Ended(service.ask()) as main:
        holdfast.wait(rf"the main process of generation 1 is pid {main.pid}")
        signal.pidfd_send_signal(main.fd, signal.SIGKILL)
        holdfast.wait(words.crashed(1) + r".*ended \(only its parent knows how\)")
    holdfast.wait(words.ready(2))
    holdfast.wait(words.gone(1))
    holdfast.stop()


def test_a_stranger_cannot_become_the_main_process(service):
    """However often it is named, there is one line about it."""
    holdfast = service.start(behaviour=["name-stranger"])
    holdfast.wait(r"names 1 as its main process \(MAINPID\), which is not one of its own")
    holdfast.settle()
    assert len(holdfast.lines.find("MAINPID")) == 1
    holdfast.stop()
