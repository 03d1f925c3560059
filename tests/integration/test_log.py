# SPDX-License-Identifier: MIT
"""holdfast's log, for people and for programs."""
import json
import re
import socket

import pytest

from harness import words
from harness.holdfast import call
from harness.paths import HOLDFAST, SOURCE

SERVER = ["/bin/sleep", "infinity"]
QUICK = "--ready=delay:10ms"


def message_ids():
    """{notice: id} that holdfast knows: of the machine's reports, and of what parts have to say."""
    found = {}
    for path in (SOURCE / "parts").rglob("*.c"):
        rows = re.findall(r'(?:\[HF_REPORT_(\w+)\] = \{|\{"([a-z-]+)", )LOG_\w+,\s*"([0-9a-f]{32})"', path.read_text())
        found |= {report.lower().replace("_", "-") or name: number for report, name, number in rows}
    assert len(found) >= 24
    return found


def test_json_has_the_fields_of_each_notice(site):
    holdfast = site.holdfast("--log-format=json", QUICK, "--listen=none", command=SERVER)
    holdfast.replace(2)
    holdfast.stop()
    lines = [json.loads(line) for line in holdfast.lines.list]
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])
        assert line["name"] == site.name and line["level"] == "info" and line["message"]
    names = {number: notice for notice, number in message_ids().items()}
    told = [(names[line["message_id"]], line.get("generation")) for line in lines if "message_id" in line]
    assert told == [("ready", 1), ("ready", 2), ("draining", 1), ("gone", 1), ("stopping", None), ("draining", 2),
                    ("gone", 2), ("stopped", None)]


def test_level_leaves_out_what_is_less_urgent(site):
    holdfast = site.holdfast("--log-level=warning", QUICK, "--listen=none", command=SERVER)
    holdfast.stop()
    assert holdfast.lines.text() == ""


def test_debug_tells_each_event_and_what_followed(site):
    holdfast = site.holdfast("--log-level=debug", QUICK, "--listen=none", command=SERVER)
    assert holdfast.wait("event start").endswith("event start of slot 0: prepare backlog arm; preparing now")
    holdfast.wait(r"event ready of slot 0: .*; idle now")
    holdfast.stop()


@pytest.mark.parametrize("verb", ["run", "check", "exec"])
def test_errors_are_json_too(verb):
    result = call(verb, "--log-format=json", "--", "/nowhere/service")
    assert result.returncode == words.EXIT_FAILURE
    assert [json.loads(line)["level"] for line in result.stderr.splitlines()] == ["error"]


@pytest.mark.plain
def test_the_manual_lists_each_message_id():
    manual = (SOURCE / "man" / "holdfast.1.scd").read_text()
    listed = dict(re.findall(r"^\t?([a-z-]+) ([0-9a-f]{32})(?:\+\+)?$", manual, re.MULTILINE))
    ids = message_ids()
    assert listed == ids
    assert len(set(ids.values())) == len(ids)


IN_JOURNAL = """mount --bind "$JOURNAL" /run/systemd && JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$0" "$@" """


def test_a_journal_that_does_not_read_keeps_nobody_waiting(site, tmp_path):
    """Dropped messages are counted, and the number is logged once the journal reads again."""
    directory = tmp_path / "journal"
    directory.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(directory / "socket"))
        journal.setblocking(False)
        filled = 0
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                while filled < 10000:
                    sender.sendto(b"MESSAGE=full\n", str(directory / "socket"))
                    filled += 1
            except BlockingIOError:
                pass
        holdfast = site.holdfast(QUICK, "--listen=none", command=SERVER, env={"JOURNAL": str(tmp_path)},
                                 wrapper=("unshare", "-m", "sh", "-c", IN_JOURNAL, HOLDFAST))
        for _ in range(3):
            assert holdfast.call("reload").returncode == 0
        for _ in range(filled):
            journal.recv(4096)
        holdfast.stop()
        assert holdfast.lines.text() == ""
        first = journal.recv(4096).decode()
        assert re.search(r"^PRIORITY=4\nMESSAGE=\d+ messages were dropped, as nobody read the log$", first, re.MULTILINE)
        assert f"HOLDFAST_NAME={site.name}\n" in first and "MESSAGE=" in journal.recv(4096).decode()
