# SPDX-License-Identifier: MIT
"""--on-event reports what happens and never delays anything. examples/mail sends mail for two of the events."""
import os
import shlex
import signal
import stat
import subprocess

import pytest

from harness import fastcgi, net, words
from harness.holdfast import Holdfast, call
from harness.lines import Lines
from harness.paths import HELPERS, HOLDFAST, PYTHON, ROOT
from harness.wait import Appearance

MAIL = ROOT / "examples" / "mail" / "mail-event"


class Events:
    """What the command was passed, one line per event, through a FIFO that is open at both ends."""

    def __init__(self, directory):
        self.path = directory / "events"
        os.mkfifo(self.path)
        self._held = os.open(self.path, os.O_RDWR)
        self.lines = Lines(open(self.path, "rb", buffering=0))

    def command(self, before=""):
        return (f'{before}echo "$HOLDFAST_EVENT generation=$HOLDFAST_GENERATION cause=$HOLDFAST_CAUSE '
                f'name=$HOLDFAST_NAME repeats=$HOLDFAST_REPEATS" >{shlex.quote(str(self.path))}')

    def wait(self, event, since=0):
        return self.lines.wait(rf"^{event}\b", since)

    def close(self):
        os.close(self._held)
        self.lines.join()


@pytest.fixture
def events(site):
    events = Events(site.directory)
    yield events
    events.close()


@pytest.fixture
def serve(site):
    """Starts misbehave.py behind a held socket, with options."""
    made = []

    def start(*options, behaviour="serve", ready="notify", **more):
        site.address = f"127.0.0.1:{net.free_port()}"
        instance = Holdfast(site, [f"--listen={site.address}", f"--ready={ready}", *options],
                            [PYTHON, HELPERS / "misbehave.py", behaviour], **more)
        made.append(instance)
        instance.start()
        return instance

    yield start
    for instance in made:
        instance.close()


def test_an_upgrade_loses_none(events, serve):
    """It waits for the command that is running; the new program reports the events behind that, each once."""
    gate = events.path.parent / "gate"
    os.mkfifo(gate)
    holdfast = serve("--on-event=" + events.command(f"read line <{gate}; echo heard; "))
    with open(gate, "w") as opened:
        holdfast.reload(2)
        holdfast.wait(words.gone(1))
        holdfast.settle()
        with subprocess.Popen([*map(str, [HOLDFAST]), "upgrade", f"--name={holdfast.site.name}"]) as upgrade:
            opened.write("go on\n" * 8)
            opened.flush()
            for event in ("ready generation=2 cause=reload name=\\S+ repeats=0", "draining generation=1", "gone generation=1",
                          "upgraded"):
                events.wait(event)
            assert upgrade.wait() == 0
        gate.unlink()
    assert len([line for line in events.lines.text().splitlines() if line.startswith("ready")]) == 2


def test_what_happens_is_told_in_order(events, serve):
    lock = events.path.parent / "running"
    holdfast = serve("--on-event=" + events.command(f"mkdir {lock} || echo overlap; rmdir {lock}; "))
    assert events.wait("ready") == f"ready generation=1 cause=start name={holdfast.site.name} repeats=0"
    holdfast.reload(2)
    for event in ("ready generation=2 cause=reload", "draining generation=1 cause=start", "gone generation=1"):
        events.wait(event)
    holdfast.stop()
    for event in ("stopping generation=0", "draining generation=2", "gone generation=2", "stopped generation=0"):
        events.wait(event)
    told = [line.split()[0] for line in events.lines.list]
    assert told == ["ready", "ready", "draining", "gone", "stopping", "draining", "gone", "stopped"]


def test_a_command_that_hangs_delays_nothing(events, serve, site):
    gate = site.directory / "gate"
    os.mkfifo(gate)
    held = os.open(gate, os.O_RDWR)
    holdfast = serve("--on-event=" + events.command(f"read line <{gate}; "))
    for number in range(2, 12):
        holdfast.reload(number)
        holdfast.wait(words.gone(number - 1))
    assert events.lines.list == []
    os.write(held, b"\n" * 64)  # a line for each that reads one
    events.wait("ready generation=11 cause=reload .* repeats=9")
    events.wait("draining generation=10 .* repeats=9")
    events.wait("gone generation=10 .* repeats=9")
    assert len(events.lines.list) == 4
    holdfast.stop()
    events.wait("stopped")
    os.close(held)


def test_a_command_that_takes_too_long_is_ended(serve, site):
    gate = site.directory / "gate"
    os.mkfifo(gate)
    holdfast = serve(f"--on-event=echo still here; read line <{gate}", "--on-event-timeout=150ms")
    holdfast.wait(r"--on-event, ready:")
    holdfast.wait(r"the command did not finish in 150 ms:")
    holdfast.wait(r"still here")
    holdfast.reload(2)
    holdfast.stop()


def test_a_command_that_fails_is_logged_with_its_words(serve):
    holdfast = serve('--on-event=echo "no such mailbox" >&2; exit 3')
    holdfast.wait(r"--on-event, ready:")
    holdfast.wait(r"the command exited with status 3:")
    holdfast.wait(r"no such mailbox")


def test_the_socket_is_given_up_before_the_last_command_runs(events, serve, site):
    shown = site.directory / "ss"
    holdfast = serve("--on-event=" + events.command(f"[ $HOLDFAST_EVENT != stopped ] || ss -lntH >{shown}; "))
    holdfast.stop()
    events.wait("stopped")
    assert shown.exists()
    assert site.address not in shown.read_text()


def test_a_queue_that_stays_full_is_told(events, serve):
    holdfast = serve("--queue-every=20ms", "--queue-warn=50", "--on-event=" + events.command(), behaviour="serve")
    main = int(holdfast.wait(r"pid \d+").split("pid ")[1].split(",")[0])
    os.kill(main, signal.SIGSTOP)
    callers = []
    # As many as half the queue holds, which is as long as the kernel allows.
    for _ in range(net.backlog(holdfast.site.address) // 2 + 1):
        callers.append(fastcgi.connect(holdfast.site.address))
    events.wait("queue-high")
    holdfast.wait(r"the queue of .* stays above 50 %: \d+ of \d+ connections wait")
    os.kill(main, signal.SIGCONT)
    events.wait("queue-normal")
    holdfast.wait(r"the queue of .* has room again")
    for caller in callers:
        caller.close()


def test_an_outage_and_its_end_are_mailed_once_each(site):
    mails = site.directory / "mails"
    mails.mkdir()
    sendmail = site.directory / "sendmail"
    sendmail.write_text(f'#!/bin/sh\nset -eu\nnumber=$(ls {mails} | wc -l)\n'
                        f'{{ echo "arguments: $*"; cat; }} >{mails}/.new\nmv {mails}/.new {mails}/$number\n')
    sendmail.chmod(sendmail.stat().st_mode | stat.S_IXUSR)
    with Appearance(mails / "0") as outage, Appearance(mails / "1") as recovery:
        holdfast = site.holdfast(f"--on-event={shlex.quote(str(MAIL))}", "--busy-after=5s", "--backoff-max=200ms", command=site.command,
                                 env={"SENDMAIL": str(sendmail), "MAILTO": "webmaster@example.org"})
        main = site.main_pid()
        site.break_program()
        os.killpg(main, signal.SIGKILL)  # its workers would serve on
        outage.wait()
        site.repair_program()
        recovery.wait()
        holdfast.stop()
    assert sorted(os.listdir(mails)) == ["0", "1"]
    first, second = ((mails / name).read_text() for name in "01")
    assert first.startswith("arguments: -oi -t\nTo: webmaster@example.org\n")
    assert f"Subject: {site.name} is not available\n" in first
    assert "\n\noutage: no generation has been ready for 5 s" in first
    assert f"Subject: {site.name} is available again\n" in second


@pytest.mark.parametrize("option, complaint", [
    ("--queue-warn=0", "is not a number from 1 to 100"),
    ("--queue-warn=101", "is not a number from 1 to 100"),
    ("--queue-every=1ms", "is too short"),
    ("--on-event=", "the text is empty"),
    ("--on-event-timeout=0", "is too short"),
])
def test_values_are_checked(option, complaint):
    result = call("run", option, "--", "true")
    assert result.returncode == words.EXIT_USAGE
    assert complaint in result.stderr
