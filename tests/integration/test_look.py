# SPDX-License-Identifier: MIT
"""status, history and metrics; what reload, restart and stop say while they wait."""
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import net, words
from harness.alone import Alone
from harness.holdfast import call
from harness.lines import Lines
from harness.paths import HELPERS, HOLDFAST, PYTHON, SOURCE
from harness.process import Process, environment
from harness.sleeper import sleeper, waiting
from harness.terminal import Screen, on_terminal
from harness.wait import DEADLINE

ANSWER_TIME = 5  # seconds that an instance may take
VERBS = ["reload", "restart", "stop", "status", "history", "metrics"]


def status(instance):
    result = instance.call("status", "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


# ---- what there is to see ----

def test_status_for_people(site):
    instance = sleeper(site)
    assert instance.call("reload").returncode == 0
    instance.wait(words.gone(1))
    result = instance.call("status")
    assert result.returncode == 0 and not result.stderr
    assert result.stdout.startswith(f"{site.name}: running, generation 2, 1 listener\n")
    assert re.search(r"^ +2  active +reload +\d+ +\d+ seconds? +1 +\S+ \S+$", result.stdout, re.MULTILINE)
    assert re.search(rf"{re.escape(site.address)} +0 +4096 +0 +0$", result.stdout, re.MULTILINE)
    assert "generation 1 is gone" in result.stdout
    assert "\033" not in result.stdout


def test_status_as_json(site):
    instance = sleeper(site)
    facts = status(instance)
    assert set(facts) == {"name", "version", "pid", "started", "state", "generation", "draining", "replacements",
                          "failures", "replaced", "handover", "late_connections", "held_until", "spared", "ready_after", "switched_after", "gone_after",
                          "warm_listed", "warm_scripts", "warm_requests", "warm_failures", "warm_time",
                          "generations", "listeners", "pools", "caches", "events"}
    assert facts["pools"] == facts["caches"] == []
    assert facts["name"] == site.name and facts["pid"] == instance.pid and facts["state"] == "running"
    assert facts["replaced"] is None and facts["failures"] == 0
    generation, = facts["generations"]
    assert set(generation) == {"number", "state", "stage", "cause", "pid", "started", "ready", "age", "processes",
                               "memory", "status"}
    assert generation["processes"] == 1 and generation["memory"] > 0 and generation["ready"] >= generation["started"]
    listener, = facts["listeners"]
    assert set(listener) == {"name", "address", "kind", "depth", "limit", "highest", "drops", "standby_depth",
                             "standby_limit", "one_side"}
    assert [event["name"] for event in facts["events"]] == ["ready"]
    assert instance.call("restart").returncode == 0
    facts = status(instance)
    assert facts["replacements"]["restart"] == 1 and facts["replaced"] >= facts["started"]
    assert facts["generation"] == 2


def test_what_the_service_says_of_itself(site):
    script = "import os,socket,signal\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\n" \
             "s.sendto(b'READY=1\\nSTATUS=warm and \\x1b[31mwell',os.environ['NOTIFY_SOCKET'])\nsignal.pause()"
    instance = site.holdfast("--ready=notify", f"--listen={site.address}", command=[PYTHON, "-c", script])
    assert status(instance)["generations"][0]["status"] == "warm and ?[31mwell"
    assert instance.call("status").stdout.count("warm and ?[31mwell") == 1


def test_colours_are_for_terminals_that_want_them(site):
    sleeper(site)
    name = f"--name={site.name}"
    assert "\033[32mrunning\033[0m" in on_terminal("status", name)[1]
    assert "\033" not in on_terminal("status", name, NO_COLOR="1")[1]
    assert "\033" not in on_terminal("status", name, TERM="dumb")[1]


@pytest.mark.long(15)
def test_history_keeps_a_hundred(site):
    instance = sleeper(site)
    for number in range(2, 107):
        instance.replace(number)
    result = instance.call("history", "--json")
    generations = json.loads(result.stdout)["generations"]
    assert [generation["number"] for generation in generations] == list(range(7, 107))
    first, last = generations[0], generations[-1]
    assert first["end"] == "was killed by signal 15 (SIGTERM)" and first["ended"] >= first["ready"] >= first["started"]
    assert first["lifetime"] > 0 and first["ready_after"] > 0 and first["processes"] == 1
    assert last["end"] is None and last["ended"] is None
    lines = instance.call("history").stdout.splitlines()
    assert lines[0].split()[:2] == ["GENERATION", "CAUSE"] and len(lines) == 101
    assert lines[1].split()[:2] == ["7", "reload"]


def test_history_tells_how_it_ended(site):
    instance = sleeper(site)
    assert instance.call("reload").returncode == 0
    instance.wait(words.gone(1))  # until then it would serve again
    pid = status(instance)["generations"][-1]["pid"]
    subprocess.run(["kill", "-KILL", str(pid)], check=True)
    instance.wait(words.ready(3))
    instance.wait(words.gone(2))
    crashed = json.loads(instance.call("history", "--json").stdout)["generations"][1]
    assert crashed["end"] == "was killed by signal 9 (SIGKILL), not by holdfast"
    assert status(instance)["replacements"]["crash"] == 1


# ---- queues ----

def shown_by_ss(address):
    """(depth, limit) of a listener, as ss sees it: the sum of both sides, the limit of each."""
    unix = address.startswith("/")
    text = subprocess.run(["ss", "-lnH", "-x" if unix else "-t"], env=environment(), check=True, capture_output=True,
                          text=True).stdout
    rows = [line.split()[1 if unix else 0:] for line in text.splitlines()]
    sides = [(int(fields[1]), int(fields[2])) for fields in rows if fields[3] == address]
    assert sides and len({limit for _, limit in sides}) == 1, f"nobody listens at {address}:\n{text}"
    return sum(depth for depth, _ in sides), sides[0][1]


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_queues_are_as_ss_says(make_site, kind):
    site = make_site(kind)
    instance = sleeper(site, listen=f"{site.address},backlog=100")
    with waiting(site.address, 5):
        listener, = status(instance)["listeners"]
        assert (listener["depth"], listener["limit"]) == shown_by_ss(site.address) == (5, 100)
        with waiting(site.address, 30):
            listener, = status(instance)["listeners"]
            assert (listener["depth"], listener["limit"]) == shown_by_ss(site.address) == (35, 100)
            assert (listener["kind"], listener["highest"]) == (kind, 35)


def test_the_highest_is_remembered(site):
    instance = site.holdfast(f"--listen={site.address}", command=[PYTHON, HELPERS / "listen_fds_server.py"])
    server = status(instance)["generations"][0]["pid"]
    subprocess.run(["kill", "-STOP", str(server)], check=True)
    with waiting(site.address, 3) as connections:
        assert status(instance)["listeners"][0]["depth"] == 3
        subprocess.run(["kill", "-CONT", str(server)], check=True)
        assert all(connection.recv(100) for connection in connections)
    listener, = status(instance)["listeners"]
    assert (listener["depth"], listener["highest"]) == (0, 3)


def test_drops_are_counted_for_each_listener(site):
    """Unlike netstat, which counts them for the whole machine."""
    instance = sleeper(site, f"--listen=127.0.0.1:{net.free_port()},name=calm", listen=f"{site.address},backlog=1")
    host, _, port = site.address.rpartition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((host, int(port)))
        shown = subprocess.run(["ss", "-ltnmH", f"sport = :{port}"], env=environment(), check=True, capture_output=True,
                               text=True).stdout
        busy, calm = sorted(status(instance)["listeners"], key=lambda listener: listener["name"] == "calm")
        assert busy["drops"] > 0 and calm["drops"] == 0
        assert busy["drops"] >= sum(map(int, re.findall(r",d(\d+)\)", shown))) > 0


def test_drops_of_the_other_side_count(site):
    """Late connections wait there; nobody carries them over while holdfast itself is stopped."""
    instance = sleeper(site, listen=f"{site.address},backlog=1")
    host, _, port = site.address.rpartition(":")
    instance.send(signal.SIGSTOP)
    os.waitid(os.P_PID, instance.pid, os.WSTOPPED)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.bind(("127.0.0.2", 0))
            client.connect_ex((host, int(port)))
        instance.send(signal.SIGCONT)
        listener, = status(instance)["listeners"]
        assert listener["drops"] > 0
        assert f'holdfast_listen_drops_total{{name="{site.name}"' in instance.call("metrics").stdout


# ---- metrics ----

def test_metrics_pass_promtool(make_site):
    site = make_site("unix")
    instance = sleeper(site, f"--listen=127.0.0.1:{net.free_port()}")
    assert instance.call("reload").returncode == 0
    metrics = instance.call("metrics")
    assert metrics.returncode == 0 and not metrics.stderr
    checked = subprocess.run(["promtool", "check", "metrics"], input=metrics.stdout, env=environment(),
                             capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and not checked.stdout and not checked.stderr, checked.stdout + checked.stderr
    manual = (SOURCE / "man" / "holdfast-control.7.scd").read_text()
    for name in set(re.findall(r"^# TYPE (\S+)", metrics.stdout, re.MULTILINE)):
        assert f"*{name}*" in manual, name
    assert f'holdfast_restarts_total{{name="{site.name}",cause="reload"}} 1\n' in metrics.stdout
    assert f'holdfast_generation{{name="{site.name}"}} 2\n' in metrics.stdout
    assert f'address="{site.address}"}} 4096\n' in metrics.stdout


def test_metrics_through_node_exporter(site):
    instance = sleeper(site)
    directory = site.directory / "textfile"
    directory.mkdir()
    metrics = instance.call("metrics").stdout
    (directory / "holdfast.prom").write_text(metrics)
    port = net.free_port()
    exporter = Process(["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
                        f"--collector.textfile.directory={directory}", f"--web.listen-address=127.0.0.1:{port}"],
                       env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        Lines(exporter.popen.stderr).wait("(?i)listening on|TLS is disabled")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        connection.request("GET", "/metrics")
        scraped = connection.getresponse().read().decode()
    finally:
        exporter.stop(signal.SIGTERM)
    assert "\nnode_textfile_scrape_error 0\n" in scraped
    names = {line.partition("{")[0] for line in metrics.splitlines() if not line.startswith("#")}
    assert names and all(f"\n{name}{{" in scraped for name in names)


# ---- while one looks ----

def test_watch_in_a_pipe_until_the_instance_ends(site):
    instance = sleeper(site)
    watch = Process([HOLDFAST, "status", "--watch", f"--name={site.name}"], env=environment(),
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    lines = Lines(watch.popen.stdout)
    with waiting(site.address, 2):
        lines.wait("▃")
    lines.wait("running", len(lines.list))
    instance.stop()
    assert watch.wait() == 0
    assert "\033" not in lines.text()


def test_watch_ends_with_ctrl_c(site):
    instance = sleeper(site)
    watch = Process([HOLDFAST, "status", "--watch", "--json", f"--name={site.name}"], env=environment(),
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    lines = Lines(watch.popen.stdout)
    lines.wait("running")
    watch.send(signal.SIGINT)
    assert watch.wait() == 0
    assert json.loads(lines.list[0])["pid"] == instance.pid


def test_watch_on_a_small_terminal(site):
    """Drawn on the other screen, clipped, and anew when the size changes; the shell's screen comes back."""
    instance = sleeper(site)
    with Screen(rows=10, columns=60) as screen:
        watch = screen.start("status", "--watch", f"--name={site.name}")
        first = screen.read_until(b"\033[J")
        assert first.startswith(b"\033[?1049h") and b"\033[2J" not in first and b"\033[3J" not in first
        lines = shown(first)
        assert len(lines) == 10 and max(map(len, lines)) == 60
        assert lines[0].startswith(f"{site.name}: running") and any(line.startswith("QUEUE") for line in lines)
        screen.resize(rows=4, columns=20)
        watch.send(signal.SIGWINCH)
        text = screen.read_until(b"\033[J")
        while len(shown(text)) != 4:
            text = screen.read_until(b"\033[J")
        assert max(map(len, shown(text))) == 20
        watch.send(signal.SIGTERM)
        assert screen.read_until(b"\033[?1049l") and watch.wait() == 0
    assert instance.process.running()


def shown(frame):
    """The lines of a frame, without what controls the terminal."""
    return re.sub(r"\033\[[?0-9;]*[A-Za-z]", "", frame.decode()).splitlines()


@pytest.fixture
def frozen(site):
    """An instance that is stopped, as by a debugger."""
    instance = sleeper(site)
    instance.process.send(signal.SIGSTOP)
    yield instance
    instance.process.send(signal.SIGCONT)


def test_an_instance_that_does_not_answer(frozen):
    name = frozen.site.name
    calls = [Process([HOLDFAST, *verb.split(), f"--name={name}"], env=environment(), stdin=subprocess.DEVNULL,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
             for verb in [*VERBS, "upgrade", "status --watch", "stop --no-wait"]]
    for called in calls:
        out, err = called.popen.communicate(timeout=DEADLINE)
        assert (called.wait(), out) == (words.EXIT_FAILURE, "")
        assert err == f"holdfast: the instance {name} does not answer; its process is stopped, or hangs\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_watch_when_nothing_answers(site, number):
    instance = sleeper(site)
    watch = Process([HOLDFAST, "status", "--watch", "--json", f"--name={site.name}"], env=environment(),
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    lines = Lines(watch.popen.stdout)
    lines.wait("running")
    instance.process.send(signal.SIGSTOP)
    try:
        watch.send(number)
        assert watch.wait() == 0
    finally:
        instance.process.send(signal.SIGCONT)


def test_watch_says_that_nothing_answers_any_more(site):
    instance = sleeper(site)
    watch = Process([HOLDFAST, "status", "--watch", "--json", f"--name={site.name}"], env=environment(),
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = Lines(watch.popen.stdout)
    lines.wait("running")
    instance.process.send(signal.SIGSTOP)
    try:
        assert watch.wait() == words.EXIT_FAILURE
    finally:
        instance.process.send(signal.SIGCONT)
    assert watch.popen.stderr.read() == b"holdfast: the instance no longer answers: Connection timed out\n"


@pytest.mark.parametrize("arguments", ["--version", "help", "status", "status --json", "history", "metrics",
                                       "status --watch --json", "check --listen=127.0.0.1:1 -- /bin/true"])
def test_a_full_disk_is_an_error(site, arguments):
    instance = sleeper(site)
    words_ = arguments.split()
    if words_[0] in ("status", "history", "metrics"):
        words_.append(f"--name={instance.site.name}")
    with open("/dev/full", "w") as full:
        result = subprocess.run([HOLDFAST, *words_], env=environment(), stdin=subprocess.DEVNULL, stdout=full,
                                stderr=subprocess.PIPE, text=True, timeout=DEADLINE, check=False)
    assert result.returncode == words.EXIT_FAILURE
    assert result.stderr.splitlines()[0] == "holdfast: standard output cannot be written: No space left on device"


def test_progress_on_a_terminal(site):
    instance = sleeper(site)
    code, text = on_terminal("reload", f"--name={site.name}")
    assert code == 0
    assert re.search(r"\r\033\[Kreload: waiting.*\r\033\[Kreload: generation 2 is active", text, re.DOTALL)
    assert re.search(r"\r\033\[Kreload: done after \S+ m?s\r\n$", text)
    code, text = on_terminal("reload", "--quiet", f"--name={site.name}")
    assert (code, text) == (0, "")
    code, text = on_terminal("stop", f"--name={site.name}")
    assert code == 0 and "stop: done after" in text
    instance.process.wait()


def test_progress_in_a_pipe(site):
    instance = sleeper(site)
    result = instance.call("reload")
    assert "holdfast: reload: generation 2 is active" in result.stderr and not result.stdout
    assert "\r" not in result.stderr
    quiet = instance.call("reload", "-q")
    assert quiet.returncode == 0 and not quiet.stderr
    assert instance.call("restart", "--no-wait").stderr == ""
    instance.wait(words.ready(4))


def test_a_failure_is_told_once_with_the_services_words(site):
    instance = site.holdfast()
    site.break_configuration()
    for how in ("pipe", "terminal"):
        if how == "pipe":
            result = instance.call("reload")
            code, text = result.returncode, result.stderr
        else:
            code, text = on_terminal("reload", f"--name={site.name}")
        assert code == words.EXIT_FAILURE
        assert text.count("unknown entry 'no_such_setting'") == 1, text
        assert "reload failed: " in text and "done" not in text
    assert status(instance)["failures"] == 2
    assert [event["name"] for event in status(instance)["events"]].count("reload-failed") == 2
    site.configure()


# ---- which instance ----

@pytest.fixture
def alone():
    view = Alone()
    yield view
    view.close()


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_runs(alone, verb):
    result = alone.call(verb)
    assert (result.returncode, result.stderr) == (words.EXIT_NOT_RUNNING, "holdfast: no instance is running\n")
    result = alone.call(verb, "--name=other")
    assert (result.returncode, result.stderr) == (words.EXIT_NOT_RUNNING,
                                                  "holdfast: no instance named other is running\n")


def test_one_needs_no_name_and_several_are_listed(alone):
    one = alone.run("one")
    assert alone.call("status").stdout.startswith("one: running")
    assert alone.call("reload").returncode == 0
    one.lines.wait(words.gone(1))
    two = alone.run("two")
    result = alone.call("status")
    assert result.returncode == 0
    assert result.stdout == ("one: running, generation 2, 1 listener\ntwo: running, generation 1, 1 listener\n")
    assert [json.loads(line)["name"] for line in alone.call("status", "--json").stdout.splitlines()] == ["one", "two"]
    metrics = alone.call("metrics")
    assert metrics.returncode == 0
    assert 'TYPE holdfast_generation gauge\nholdfast_generation{name="one"} 2\nholdfast_generation{name="two"} 1\n' \
        in metrics.stdout
    checked = subprocess.run(["promtool", "check", "metrics"], input=metrics.stdout, env=environment(),
                             capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for verb in set(VERBS) - {"status", "metrics"}:
        result = alone.call(verb)
        assert result.returncode == words.EXIT_USAGE
        assert result.stderr == "holdfast: several instances are running, choose one with --name: one two\n"
    assert alone.call("status", "--watch").returncode == words.EXIT_USAGE
    assert alone.call("stop", "--name=two").returncode == 0
    assert two.wait() == 0
    assert alone.call("stop").returncode == 0
    assert one.wait() == 0


def test_several_that_do_not_answer_are_waited_for_together(alone):
    """Each is named, and those that answer are shown, within the time limit of a single one."""
    frozen = [alone.run(f"frozen{number}") for number in range(4)]
    alone.run("well")
    for instance in frozen:
        instance.send(signal.SIGSTOP)
    try:
        for verb in ("status", "metrics"):
            begun = time.monotonic()
            result = alone.call(verb)
            assert time.monotonic() - begun < 2 * ANSWER_TIME
            assert result.returncode == words.EXIT_FAILURE
            assert result.stderr.splitlines() == [
                f"holdfast: the instance frozen{number} does not answer; its process is stopped, or hangs"
                for number in range(4)]
            assert "well" in result.stdout and "frozen" not in result.stdout
    finally:
        for instance in frozen:
            instance.send(signal.SIGCONT)


@pytest.mark.parametrize("arguments", [["status", "--jason"], ["history", "--watch"], ["metrics", "--json"],
                                       ["status", "web"]])
def test_usage(arguments):
    assert call(*arguments).returncode == words.EXIT_USAGE
