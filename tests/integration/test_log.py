"""What holdfast logs, for people and for programs."""
import json
import re

import pytest

from harness import words
from harness.holdfast import call
from harness.paths import SOURCE

SERVER = ["/bin/sleep", "infinity"]
QUICK = "--ready=delay:10ms"


def message_ids():
    """{notice: id} that holdfast knows."""
    text = (SOURCE / "daemon" / "notices.c").read_text()
    found = {name.lower().replace("_", "-"): number
             for name, number in re.findall(r'\[HF_NOTICE_(\w+)\] = "([0-9a-f]{32})"', text)}
    assert len(found) >= 14
    return found


def test_json_has_the_fields_of_each_notice(site):
    holdfast = site.holdfast("--log-format=json", QUICK, command=SERVER)
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
    holdfast = site.holdfast("--log-level=warning", QUICK, command=SERVER)
    holdfast.stop()
    assert holdfast.lines.text() == ""


def test_debug_tells_each_event_and_what_followed(site):
    holdfast = site.holdfast("--log-level=debug", QUICK, command=SERVER)
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
