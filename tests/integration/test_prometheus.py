# SPDX-License-Identifier: MIT
"""The figures over HTTP, scraped by a real Prometheus; examples/prometheus."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse

import pytest

from harness import net
from harness.lines import Lines
from harness.paths import HOLDFAST, ROOT
from harness.process import Process, environment
from harness.sleeper import sleeper
from harness.wait import DEADLINE

EXAMPLES = ROOT / "examples" / "prometheus"
OPEN_METRICS = "application/openmetrics-text;version=1.0.0"
DOCUMENTED_EMPTY = {"holdfast_pool_memory_peak_bytes"}  # before PHP 8.4


class Scraped:
    """The metrics of an instance at a port, by what stands for holdfast-metrics.socket."""

    def __init__(self, name):
        self.port = net.free_port()
        self.process = Process(["systemd-socket-activate", "--accept", "--inetd", f"--listen=127.0.0.1:{self.port}",
                                HOLDFAST, "metrics", "--http", f"--name={name}"], env=environment(),
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.lines = Lines(self.process.popen.stderr)
        self.lines.wait("Listening on")

    def ask(self, method="GET", path="/metrics", **headers):
        """(status, headers, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def talk(self, data):
        """What raw bytes are answered with, the end of the sender's side included."""
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE) as connection, connection.makefile("rb") as stream:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return stream.read()

    def close(self):
        self.process.stop(signal.SIGTERM)


@pytest.fixture
def scraped(site):
    site.holdfast()
    scraped = Scraped(site.name)
    yield scraped
    scraped.close()


def test_http(scraped):
    status, headers, body = scraped.ask()
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "holdfast_pool_workers{" in body and "# EOF" not in body
    checked = subprocess.run(["promtool", "check", "metrics"], input=body, env=environment(), capture_output=True,
                             text=True, check=False)
    assert checked.returncode == 0 and not checked.stdout + checked.stderr
    status, headers, opened = scraped.ask(path="/metrics?x=1", Accept=OPEN_METRICS)
    assert status == 200 and headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert opened.endswith("\n# EOF\n") and "\n# UNIT holdfast_memory_bytes bytes\n" in opened
    status, headers, body = scraped.ask("HEAD")
    assert (status, body) == (200, "") and int(headers["Content-Length"]) > 1000
    assert scraped.ask(path="/")[0] == scraped.ask(path="/metrics/")[0] == 404
    status, headers, _ = scraped.ask("POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("data, status", [
    (b"what is this\r\n\r\n", 400), (b"GET /metrics HTTP/1.1\r\n", 400),
    (b"GET /metrics HTTP/1.1\r\nX: " + 9000 * b"x", 431),
    (b"POST /metrics HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + 100000 * b"x", 405)])
def test_what_is_no_scrape(scraped, data, status):
    assert scraped.talk(data).startswith(b"HTTP/1.1 %d " % status)


def test_no_instance_answers(site):
    """No running instance is not an error; one that hangs is."""
    instance = sleeper(site)
    instance.send(signal.SIGSTOP)
    request = "GET /metrics HTTP/1.1\r\n\r\n"
    try:
        result = subprocess.run([HOLDFAST, "metrics", "--http", f"--name={site.name}"], env=environment(), input=request,
                                capture_output=True, text=True, check=False)
    finally:
        instance.send(signal.SIGCONT)
    assert result.returncode == 0 and result.stdout.startswith("HTTP/1.1 503 ") and "does not answer" in result.stderr
    result = subprocess.run([HOLDFAST, "metrics", "--http", "--name=nobody"], env=environment(),
                            input=f"{request[:-2]}Accept: {OPEN_METRICS}\r\n\r\n", capture_output=True, text=True, check=False)
    assert result.stdout.startswith("HTTP/1.1 200 ") and result.stdout.endswith("\n\n# EOF\n")


class Prometheus:
    """Scrapes twice a second."""

    def __init__(self, directory, scraped):
        self.scraped = scraped
        self.port = net.free_port()
        configuration = directory / "prometheus.yml"
        text = (EXAMPLES / "prometheus.yml").read_text()
        text = text.replace("15s", "500ms").replace("127.0.0.1:9963", f"127.0.0.1:{scraped.port}")
        configuration.write_text(text.replace("- alerts.yml", f"- {EXAMPLES}/alerts.yml"))
        self.process = Process(["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={directory}/tsdb",
                                f"--web.listen-address=127.0.0.1:{self.port}"], env=environment(),
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.lines = Lines(self.process.popen.stderr)
        self.lines.wait("ready to receive web requests")

    def scrape(self, n):
        """Waits until n scrapes more have been answered: all but the last are known."""
        mark = len(self.scraped.lines.list)
        for _ in range(n):
            self.scraped.lines.wait("died with code 0", mark)
            mark = len(self.scraped.lines.list)

    def until(self, holds):
        """Asserts that it holds, at last: on a busy machine a scrape may take longer than there is time for it."""
        end = time.monotonic() + DEADLINE
        while not holds() and time.monotonic() < end:
            self.scrape(1)
        assert holds()

    def values(self, expression):
        return [sample["value"][1] for sample in self.query(expression)]

    def query(self, expression):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        connection.request("GET", f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        answer = json.load(connection.getresponse())
        connection.close()
        assert answer["status"] == "success", f"{expression}: {answer}"
        return answer["data"]["result"]

    def close(self):
        self.process.stop(signal.SIGTERM)


def queries():
    """Those of the dashboard, as Grafana sends them."""
    board = json.loads((EXAMPLES / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    for expression in expressions + [item["expr"] for item in board["annotations"]["list"]]:
        yield expression.replace("$name", ".*").replace("$__rate_interval", "1m").replace("$__interval", "1m")


def test_a_real_prometheus_and_the_dashboard(site):
    os.utime(site.root / "hello.php", (1, 1))  # what is new is not cached
    holdfast = site.holdfast()
    assert site.get()[0] == 200
    scraped = Scraped(site.name)
    prometheus = Prometheus(site.directory, scraped)
    try:
        prometheus.scrape(2)
        prometheus.until(lambda: prometheus.values("up") == ["1"])
        holdfast.replace(2)
        prometheus.scrape(3)
        prometheus.until(lambda: prometheus.values("holdfast_generation") == ["2"])
        prometheus.until(lambda: {re.match(r"\w+", expression)[0] for expression in queries()
                                  if not prometheus.query(expression)} <= DOCUMENTED_EMPTY)
        prometheus.until(lambda: prometheus.values("changes(holdfast_generation[1m])") == ["1"])
        prometheus.until(lambda: prometheus.query("ALERTS") == [])
    finally:
        prometheus.close()
        scraped.close()
    holdfast.stop()


def test_the_alerts():
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(["promtool", *command], cwd=EXAMPLES, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    rules = (EXAMPLES / "alerts.yml").read_text()
    tests = (EXAMPLES / "alerts_test.yml").read_text()
    for name in re.findall(r"alert: (\w+)", rules):
        assert tests.count(f"alertname: {name}\n") >= 2, name
    figures = set(re.findall(r"holdfast_\w+", rules + (EXAMPLES / "dashboard.json").read_text()))
    manual = (ROOT / "src" / "man" / "holdfast-control.7.scd").read_text()
    assert figures and all(f"*{name}*" in manual for name in figures)
