# SPDX-License-Identifier: MIT
import os
import pathlib
import shutil
import signal
import stat
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import process, tools, worker  # noqa: E402
from harness.container import Container  # noqa: E402
from harness.paths import HOLDFAST, ROOT  # noqa: E402
from harness.service import Service  # noqa: E402
from harness.site import Site  # noqa: E402

PROGRAMS = ["nginx", "php-fpm8.2", "php-cgi8.2", "wrk", "getfacl", "ss", "nm", "systemd-socket-activate", "setpriv",
            "busctl", "promtool", "prometheus-node-exporter", "apache2", "lighttpd", "haproxy"]

SITES = pytest.StashKey()
LOG_LINES = 30


def pytest_configure(config):
    config.addinivalue_line("markers", "load: drives load or fills the machine, and wants few others beside it")
    config.addinivalue_line("markers", "matrix: 30 rounds in each of eight settings")
    config.addinivalue_line("markers", "plain: needs no holdfast: proves the detectors and the facts")
    config.addinivalue_line("markers", "long(seconds): is begun first, so that no worker is left with it at the end")
    config.addinivalue_line("markers", "full: takes minutes, so it is for tests/run --full alone")


@pytest.hookimpl(trylast=True)  # -m and -k have chosen
def pytest_collection_modifyitems(config, items):
    if os.environ.get("HOLDFAST_TESTS") != "full":
        slow = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    if worker.number() is not None:
        items[:] = worker.begin_with_long(items)


def pytest_sessionstart(session):
    if os.geteuid():
        pytest.exit("the integration tests need root", 2)
    missing = [name for name in PROGRAMS if not shutil.which(name, path=process.PATH)]
    if missing:
        pytest.exit(f"missing programs: {', '.join(missing)}; tests/run installs them", 2)
    closed = [path for path in (ROOT, *ROOT.parents) if not path.stat().st_mode & stat.S_IXOTH]
    if closed:
        pytest.exit(f"services of the tests run as other users, who may not enter {closed[-1]}: check out elsewhere", 2)
    process.become_subreaper()
    if worker.number() is not None:
        worker.separate()
    # Programs start as from a terminal, also when the tests were started by nohup or in a script's background.
    for number in signal.SIGHUP, signal.SIGQUIT:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Ended from outside, the tests still clean up.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 2))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of what holdfast, nginx and php-fpm of its sites logged."""
    outcome = yield
    report = outcome.get_result()
    if call.when != "call" or not report.failed:
        return
    for site in item.stash.get(SITES, []):
        for instance in site.instances:
            report.sections.append((type(instance).__name__.lower(), "\n".join(instance.lines.list[-LOG_LINES:])))
        for path in sorted(site.directory.glob("*.log")):
            text = path.read_text(errors="replace")
            report.sections.append((f"end of {path.name}", "".join(text.splitlines(True)[-LOG_LINES:])))


@pytest.fixture(autouse=True)
def built(request):
    tools.Tool.allowed = request.node.get_closest_marker("load") is not None
    if not request.node.get_closest_marker("plain") and not os.access(HOLDFAST, os.X_OK):
        pytest.fail(f"{HOLDFAST} is not built", pytrace=False)


@pytest.fixture
def make_site(request):
    """Sites that are closed with the test, the newest first."""
    sites = request.node.stash[SITES] = []
    # Each worker that is forked and ends costs as much as a request; a load alone needs many.
    workers = {} if request.node.get_closest_marker("load") else {"children": 6}

    def make(*arguments, **options):
        site = Site(*arguments, **{**workers, **options})
        sites.append(site)
        return site

    yield make
    problems = []
    for site in reversed(sites):
        try:
            site.close()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


@pytest.fixture
def site(make_site):
    return make_site()


@pytest.fixture
def service(site):
    """misbehave.py behind one held socket."""
    service = Service(site)
    yield service
    service.close()


@pytest.fixture
def contain():
    """Containers that are removed with the test."""
    made = []

    def make(site, *command, **options):
        made.append(Container(site, command, **options))
        return made[-1]

    yield make
    for container in made:
        container.close()
