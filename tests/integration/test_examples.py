# SPDX-License-Identifier: MIT
"""Each example does what its comments say."""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.parse

import pytest

from harness import browser, process, words
from harness.lines import Lines
from harness.paths import HOLDFAST, PHP_FPM, PYTHON, ROOT
from harness.process import Process, environment
from harness.wait import DEADLINE

EXAMPLES = ROOT / "examples"


@pytest.fixture
def path(site):
    """A PATH on which holdfast is the one that is tested."""
    programs = site.directory / "bin"
    programs.mkdir()
    (programs / "holdfast").symlink_to(HOLDFAST)
    return f"{programs}:{process.PATH}"


def run(path, *command, **more):
    return subprocess.run([str(word) for word in command], env=environment(PATH=path, **more), capture_output=True,
                          text=True, timeout=DEADLINE, check=False)


def test_the_cron_job_reloads_and_says_nothing(site, path):
    line = re.search(r"^\*/20 \* \* \* \* root (.*)$", (EXAMPLES / "cron" / "crontab").read_text(), re.M).group(1)
    assert line == "holdfast reload --quiet --name=php8.2-fpm"
    holdfast = site.holdfast()
    before = site.main_pid()
    result = run(path, "/bin/sh", "-c", line.replace("php8.2-fpm", site.name))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    holdfast.wait(words.gone(1))
    assert site.main_pid() != before
    holdfast.stop()


@pytest.fixture
def releases(site):
    """Two releases and a link to the first, which is what nginx serves."""
    for name in ("1", "2"):
        release = site.directory / name
        release.mkdir()
        (release / "hello.php").write_text(f'<?php echo "release {name} ", posix_getppid();')
    site.root = site.directory / "current"
    site.root.symlink_to(site.directory / "1")
    return site.directory


def test_a_deployment_switches_and_reloads(site, path, releases):
    holdfast = site.holdfast()
    assert site.get()[1].startswith("release 1 ")
    result = run(path, EXAMPLES / "cron" / "deploy", releases / "2", site.root, HOLDFAST_NAME=site.name)
    assert result.returncode == 0, result.stderr
    assert os.readlink(site.root) == str(releases / "2")
    # the old one answers from its own cache at most until it has left
    holdfast.wait(words.gone(1))
    assert site.get()[1].startswith("release 2 ")
    holdfast.stop()


def test_a_deployment_that_does_not_start_is_taken_back(site, path, releases):
    holdfast = site.holdfast()
    site.break_configuration()
    result = run(path, EXAMPLES / "cron" / "deploy", releases / "2", site.root, HOLDFAST_NAME=site.name)
    assert result.returncode == 1
    assert "no_such_setting" in result.stderr
    assert result.stderr.endswith(f"deploy: {releases / '2'} is not in use, see above\n")
    assert os.readlink(site.root) == str(releases / "1")
    assert site.get()[1].startswith("release 1 ")
    holdfast.stop()


def test_the_init_script_steers_an_instance(site, path):
    """Each verb says how it went; the pid file is not what it goes by."""
    script = EXAMPLES / "init" / "holdfast-php8.2-fpm"
    more = {"HOLDFAST_INSTANCE": site.name, "HOLDFAST_FPM_CONFIG": str(site.configuration_path),
            "HOLDFAST_LOG": str(site.directory / "init.log")}
    own = site.directory / "script"
    own.write_text(script.read_text().replace("PATH=/", f"PATH={path}:/", 1))
    own.chmod(0o755)

    def service(verb):
        return run(path, own, verb, **more)

    assert service("status").returncode == words.EXIT_NOT_RUNNING
    assert service("start").returncode == 0
    try:
        before = site.main_pid()
        assert service("start").returncode == 0 and site.main_pid() == before
        assert service("reload").returncode == 0
        assert "generation 2" in service("status").stdout
        site.break_configuration()
        failed = service("reload")
        assert failed.returncode == words.EXIT_FAILURE and "no_such_setting" in failed.stderr
        site.configure()
        assert service("restart").returncode == 0
    finally:
        assert service("stop").returncode == 0
    assert service("status").returncode == words.EXIT_NOT_RUNNING
    site.break_configuration()
    failed = service("start")
    assert failed.returncode == 1 and "no_such_setting" in failed.stderr
    site.configure()


WITHOUT_SYSTEMD = """set -e
mount -t tmpfs none /run && mount -t tmpfs none /var/log
"$1" start
service php8.2-fpm reload >&2 && echo "Debian's own says OK"
holdfast status | grep -o '^php.*generation [0-9]'
mount --bind "$1" /etc/init.d/php8.2-fpm
service php8.2-fpm reload
holdfast status | grep -o '^php.*generation [0-9]'
service php8.2-fpm reopen-logs
service php8.2-fpm status >/dev/null && echo "runs"
service php8.2-fpm restart
holdfast status | grep -o '^php.*generation [0-9]'
service php8.2-fpm stop
service php8.2-fpm status 2>&1 || echo "status $?"
"""


def test_service_reloads_without_systemd(site, path):
    """In a pid namespace, by service(8), with Debian's own configuration: its own script says OK and does nothing."""
    script = site.directory / "script"
    script.write_text((EXAMPLES / "init" / "holdfast-php8.2-fpm").read_text().replace("PATH=/", f"PATH={path}:/", 1))
    script.chmod(0o755)
    result = run(path, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", WITHOUT_SYSTEMD,
                 "sh", script)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines() == [
        "Debian's own says OK", "php8.2-fpm: running, generation 1", "php8.2-fpm: running, generation 2", "runs",
        "php8.2-fpm: running, generation 3", "holdfast: no instance named php8.2-fpm is running",
        f"status {words.EXIT_NOT_RUNNING}"], result.stderr


def test_the_page_names_options_that_exist():
    options = set(re.findall(r"^\s+(?:-\w )?(--[a-z-]+)", "".join(map(call_help, ["run", "reload", "status", "hold"])), re.M))
    for page in [*EXAMPLES.rglob("*.md"), ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = page.read_text()
        if page.parent.name == "servers":  # it names the servers' own options, too
            text = "\n".join(re.findall(r"^ {4}(holdfast run .*?) --(?: |$)", text, re.M))
        for option in re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", text):
            assert option in options | {"--no-tests", "--now", "--port", "--keep", "--full", "--minutes", "--application",
                                        "--readme"}, f"{page}: {option}"


def call_help(verb):
    return subprocess.run([HOLDFAST, verb, "--help=all"], capture_output=True, text=True, check=True).stdout


def test_every_link_of_the_pages_leads_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *EXAMPLES.rglob("*.md")]
    assert len(pages) > 8
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page}: {link}"


def ask(url, path, method="GET", **headers):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=DEADLINE)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


# What the page shows, and whether its chart has dots in the colours of two masters.
SHOWN = """Object.fromEntries(['generation', 'requests', 'failed', 'reloads', 'said'].map(
  id => [id, document.getElementById(id).textContent]))"""
TWO_COLOURS = """(() => {
  const chart = document.getElementById('chart');
  if (!chart.width) return false;
  const points = new Uint32Array(chart.getContext('2d').getImageData(0, 0, chart.width, chart.height).data.buffer);
  return [0xffb06f2a, 0xff1e8ae0].every(colour => points.includes(colour));
})()"""


def test_the_page_of_the_quickstart_shows_a_reload(tmp_path):
    shown = Process([PYTHON, "-B", EXAMPLES / "quickstart" / "demonstrate.py", HOLDFAST,
                     shutil.which(PHP_FPM, path=process.PATH), "--live"],
                    env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        url = Lines(shown.popen.stdout).wait("watch it live").split()[3].removesuffix("/live")
        # the button is for this page only
        assert ask(url, "/live/reload.php")[0] == 405
        assert ask(url, "/live/reload.php", "POST")[0] == ask(url, "/live/reload.php", "POST", X_Token="x")[0] == 403
        assert ask(url, "/live", Host="evil.example")[0] == 403
        browser.require()
        reload_in_a_browser(url, tmp_path)
        assert json.loads(ask(url, "/live/status.json")[1])["generation"] == 2
    finally:
        shown.stop(signal.SIGINT)


def reload_in_a_browser(url, directory):
    with contextlib.closing(browser.Browser(directory)) as page:
        page.open(f"{url}/live")
        page.wait("document.getElementById('generation')?.textContent == '1'")
        before = page.evaluate(SHOWN)
        page.click("reload")
        page.wait(f"(({SHOWN}).reloads == '1' && ({SHOWN}).said.includes('way') && {TWO_COLOURS})")
        after = page.evaluate(SHOWN)
        assert (before["reloads"], before["said"], before["failed"]) == ("0", "", "0")
        assert int(after["requests"]) > int(before["requests"])
        assert (after["generation"], after["said"], after["failed"]) == ("2", "a reload is on its way", "0")
        assert not page.errors and all(request.startswith(f"{url}/") for request in page.requests)
