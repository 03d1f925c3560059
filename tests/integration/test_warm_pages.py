# SPDX-License-Identifier: MIT
"""--warm with pages and commands: each worker of the next generation has served them before the switch, at low priority."""
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import time

import pytest

from harness import fastcgi, net, process, warming
from harness.manager import killed
from harness.paths import HELPERS, HOLDFAST, PHP_CGI, ROOT
from harness.wait import DEADLINE, Appearance, Entries
from harness.warming import ask, visits, warmed, write

EXAMPLES = ROOT / "examples" / "servers"


@pytest.fixture
def warm_site(make_site):
    return warming.make(make_site)


def test_each_worker_has_each_page(warm_site):
    holdfast = warm_site.holdfast("--warm=fastcgi:/pid.php?x=1", f"--document-root={warm_site.root}")
    assert "by" in warmed(holdfast, 2)
    found = visits(warm_site)
    assert len({visit[0] for visit in found}) == 3
    assert {tuple(visit[1:5]) for visit in found} == {("warm-up", "localhost", "GET", "/pid.php?x=1")}
    assert "(warm-up)" in found[0][6]
    past = json.loads(holdfast.call("history", "--json").stdout)["generations"][-1]
    assert past["warm_requests"] == len(found) and past["warm_failures"] == 0 and past["warm_time"] > 0
    facts = json.loads(holdfast.call("status", "--json").stdout)
    assert {key: facts[key] for key in facts if key.startswith("warm_")} == {
        key: past[key] for key in past if key.startswith("warm_")}
    assert re.search(rf"\nThe last warm-up: \d+ of \d+ scripts, {len(found)} requests, in [\d.]+ m?s\n",
                     holdfast.call("status").stdout)
    metrics = holdfast.call("metrics").stdout
    for name, value in ("scripts", past["warm_scripts"]), ("requests", len(found)), ("failures", 0):
        assert f'holdfast_warm_up_{name}{{name="{warm_site.name}"}} {value}\n' in metrics
    assert "\nholdfast_warm_up_seconds{" in metrics
    holdfast.stop()


LATE = """
$main = posix_getppid();
$workers = array_filter(explode(' ', trim(file_get_contents("/proc/$main/task/$main/children"))),
    fn($pid) => str_ends_with(rtrim(file_get_contents("/proc/$pid/cmdline"), "\\0 "), 'pool www') && $pid != getmypid());
$marks = __DIR__ . '/../marks';
if (isset($_SERVER['HTTP_X_HOLDFAST']) && $once = @fopen("$marks/stopped", 'x')) {
    posix_kill($late = end($workers), 19 /* SIGSTOP */);
    while (!str_contains(file_get_contents("/proc/$late/stat"), ') T '));
    fwrite($once, $late);
}
if (count(file("$marks/pids")) >= 30) touch("$marks/enough");"""


def test_a_worker_that_comes_late(warm_site):
    """It has not been scheduled yet when the others have served the page many times."""
    write(warm_site, "pid.php", warming.PID + LATE)
    holdfast = warm_site.holdfast("--warm=fastcgi:/pid.php", f"--document-root={warm_site.root}")
    with Appearance(warm_site.marks / "enough") as enough:
        holdfast.send(signal.SIGHUP)
        enough.wait()
    late = (warm_site.marks / "stopped").read_text()
    assert late not in {visit[0] for visit in visits(warm_site)}
    os.kill(int(late), signal.SIGCONT)
    holdfast.wait("generation 2 is active")
    assert late in {visit[0] for visit in visits(warm_site)}
    holdfast.stop()


@pytest.mark.parametrize("manager, workers", [
    ({"pm": "ondemand"}, 1), ({"pm": "dynamic", "pm.start_servers": 2, "pm.min_spare_servers": 1,
                               "pm.max_spare_servers": 3}, 2)])
def test_workers_that_are_not_there_yet(warm_site, manager, workers):
    warm_site.pools[0].options.update(manager)
    warm_site.configure()
    holdfast = warm_site.holdfast("--warm=fastcgi:/pid.php", f"--document-root={warm_site.root}")
    warmed(holdfast, 2)
    assert workers <= len({visit[0] for visit in visits(warm_site)}) <= workers + 1
    holdfast.stop()


def test_a_list(warm_site):
    pages = warm_site.directory / "pages"
    pages.write_text("# all of them\n\n/pid.php?a\nGET https://example.org:8443/pid.php?b\nPOST /pid.php\n")
    holdfast = warm_site.holdfast(f"--warm=file:{pages}", f"--document-root={warm_site.root}", "--warm=none")
    report = warmed(holdfast, 2)
    assert f"{pages}:5: write PATH or METHOD URL" in report
    found = {tuple(visit[2:6]) for visit in visits(warm_site)}
    assert found == {("localhost", "GET", "/pid.php?a", ""), ("example.org:8443", "GET", "/pid.php?b", "on")}
    holdfast.stop()


def test_recent_pages(warm_site):
    holdfast = warm_site.holdfast("--warm=recent", "--warm=none")
    fastcgi.request(warm_site.address, str(warm_site.root / "pid.php"), method="POST")
    for _ in range(3):
        ask(warm_site, "used.php")
    assert "requests" in warmed(holdfast, 2)
    assert not [visit for visit in visits(warm_site) if visit[1]]
    assert "used.php" in eval(ask(warm_site, "state.php"))
    holdfast.stop()


def test_recent_pages_have_their_query_and_no_cookie(warm_site):
    write(warm_site, "cookie.php", """<?php file_put_contents(__DIR__ . '/../marks/cookies', ($_SERVER['HTTP_X_HOLDFAST'] ?? 'visitor')
        . " $_SERVER[REQUEST_URI] " . ($_SERVER['HTTP_COOKIE'] ?? '-') . "\\n", FILE_APPEND);""")
    holdfast = warm_site.holdfast("--warm=recent", "--warm=none")
    connection = http.client.HTTPConnection("127.0.0.1", warm_site.nginx.port, timeout=DEADLINE)
    connection.request("GET", "/cookie.php?page=2", headers={"Cookie": "session=mine"})
    assert connection.getresponse().status == 200
    connection.close()
    assert re.match(r"warmed by \d+ requests", warmed(holdfast, 2))
    visitor, *warm = (warm_site.marks / "cookies").read_text().splitlines()
    assert visitor == "visitor /cookie.php?page=2 session=mine"
    assert len(warm) >= 3 and set(warm) == {"warm-up /cookie.php?page=2 -"}
    holdfast.stop()


def test_a_command(site):
    told = site.directory / "told"
    port = net.free_port()
    command = f"echo $HOLDFAST_WARM_ADDRESS $HOLDFAST_WARM_SOURCE >{told}"
    holdfast = site.holdfast(f"--listen=127.0.0.1:{port}", "--ready=notify", f"--warm=exec:{command}",
                             command=[HELPERS / "listen_fds_server.py"])
    assert warmed(holdfast, 2).startswith("warmed by 1 requests")
    assert told.read_text() == f"127.0.0.1:{port} 127.0.0.2\n"
    holdfast.stop()


def test_a_priority_that_cannot_be_lowered(site):
    """Without CAP_DAC_OVERRIDE, which such a service does not need, root cannot change another user's autogroup."""
    holdfast = site.holdfast(f"--listen=127.0.0.1:{net.free_port()}", "--user=nobody", "--ready=notify", "--warm=exec:true",
                             command=[HELPERS / "listen_fds_server.py"])
    assert warmed(holdfast, 2).endswith("; its priority could not be lowered (Permission denied)")
    holdfast.stop()


def test_the_time_is_bounded(warm_site):
    os.mkfifo(warm_site.marks / "never", 0o666)  # nobody writes to it
    write(warm_site, "slow.php", "<?php fopen(__DIR__ . '/../marks/never', 'r');")
    holdfast = warm_site.holdfast("--warm=fastcgi:/slow.php", f"--document-root={warm_site.root}", "--warm-timeout=500ms")
    assert "all that --warm-timeout allows" in warmed(holdfast, 2)
    holdfast.stop()


def nice_of_session(pid):
    with open(f"/proc/{pid}/autogroup") as group:
        return int(group.read().split()[-1])


def await_nice(holdfast, pid, nice):
    """The kernel takes a change of an autogroup each tenth of a second: asked until it has."""
    end = time.monotonic() + DEADLINE
    while nice_of_session(pid) != nice:
        assert time.monotonic() < end
        holdfast.call("status")


def keep_changing_one(until):
    """The kernel refuses everybody else's change of an autogroup for a tenth of a second after each."""
    other = process.Process(["sleep", str(DEADLINE)], start_new_session=True)  # ours may be in no autogroup
    while not until():
        with contextlib.suppress(BlockingIOError), open(f"/proc/{other.pid}/autogroup", "w") as group:
            group.write("0")
    other.stop()


def begin_slow_page(site, holdfast):
    """A reload in the middle of a warm-up, by a page that takes its time; the pid of the new master."""
    before = process.children(holdfast.pid)
    with Appearance(site.marks / "slow") as asked:
        holdfast.send(signal.SIGHUP)
        asked.wait()
    pid, = [pid for pid in process.children(holdfast.pid) if pid not in before and "master process" in process.command_line(pid)]
    return pid


def begin_warming(site, holdfast):
    """The same, with the priority of the new session low."""
    pid = begin_slow_page(site, holdfast)
    await_nice(holdfast, pid, 19)
    return pid


@contextlib.contextmanager
def gate(site):
    """A page that has opened it for reading waits until it is left."""
    path = site.marks / "gate"
    os.mkfifo(path)
    path.chmod(0o666)
    yield
    opened = os.open(path, os.O_RDWR)
    path.unlink()  # nobody else waits
    os.close(opened)


SLOW = "<?php touch(__DIR__ . '/../marks/slow'); if ($gate = @fopen(__DIR__ . '/../marks/gate', 'r')) fclose($gate);"


def test_priority_is_put_back(warm_site):
    """Before the switch."""
    write(warm_site, "slow.php", SLOW)
    holdfast = warm_site.holdfast("--warm=fastcgi:/slow.php", f"--document-root={warm_site.root}", "--warm-timeout=50s")
    with gate(warm_site):
        main = begin_warming(warm_site, holdfast)
    holdfast.wait("generation 2 is active")
    assert nice_of_session(main) == 0
    workers = subprocess.run(["ps", "-o", "ni=", "--ppid", str(main)], capture_output=True, text=True).stdout.split()
    assert set(workers) == {str(os.nice(0))}
    holdfast.stop()


def test_priority_of_one_that_must_serve_at_once(warm_site):
    """The one before dies during the warm-up, and the kernel takes no change of a priority just then."""
    os.mkfifo(warm_site.marks / "never", 0o666)  # nobody writes to it
    write(warm_site, "slow.php", "<?php touch(__DIR__ . '/../marks/slow'); fopen(__DIR__ . '/../marks/never', 'r');")
    holdfast = warm_site.holdfast("--warm=fastcgi:/slow.php", f"--document-root={warm_site.root}", "--warm-timeout=50s")
    before = warm_site.main_pid()
    after = begin_warming(warm_site, holdfast)
    os.kill(before, signal.SIGSTOP)  # it would start others
    for worker in process.children(before):
        killed(worker)
    os.kill(before, signal.SIGKILL)
    keep_changing_one(until=lambda: holdfast.lines.find("generation 2 is active"))
    await_nice(holdfast, after, 0)
    holdfast.stop()


def test_lines_of_the_access_log_are_marked(warm_site):
    """By the user agent, where the log shows it."""
    warm_site.pools[0].options["access.format"] = '"%{HTTP_USER_AGENT}e %r"'
    warm_site.configure()
    holdfast = warm_site.holdfast("--warm=fastcgi:/pid.php", f"--document-root={warm_site.root}")
    ask(warm_site, "used.php")
    log = warm_site.directory / "access.log"
    before = len(log.read_text().splitlines())
    assert warmed(holdfast, 2).startswith("warmed 1 of 1 scripts and by ")
    lines = log.read_text().splitlines()[before:]
    assert len(lines) >= 3 and all(re.fullmatch(r"holdfast/\S+ \(warm-up\) /pid.php", line) for line in lines), lines
    holdfast.stop()


@pytest.mark.parametrize("listen", ["[::1]", "[::]"])
@pytest.mark.skipif(not net.has_ipv6(), reason="this machine has no IPv6")
def test_ipv6(make_site, listen):
    """Its standby side is reached, and nobody else."""
    site = warming.make(make_site, f"{listen}:{net.free_port()}")
    holdfast = site.holdfast("--warm=fastcgi:/pid.php", f"--document-root={site.root}", "--handover=switch")
    before = set(process.children(*process.children(holdfast.pid)))
    assert re.match(r"warmed by \d+ requests", warmed(holdfast, 2))
    workers = {int(visit[0]) for visit in visits(site)}
    assert len(workers) == 3 and not workers & before
    holdfast.stop()


def test_without_privilege(make_site):
    """A holdfast that is not root's: scripts and pages."""
    site = warming.make(make_site)
    site.pools[0].options.update(dict.fromkeys(["user", "group"]), **{"access.log": str(site.marks / "access.log")})
    site.configure(error_log=site.marks / "fpm.log")
    holdfast = site.holdfast("--warm=fastcgi:/pid.php", f"--document-root={site.root}", **site.without_privilege())
    ask(site, "used.php")
    assert re.match(r"warmed 1 of 1 scripts and by \d+ requests in [\d.]+ m?s$", warmed(holdfast, 2))
    assert "used.php" in eval(ask(site, "state.php"))
    assert len({visit[0] for visit in visits(site)}) == 3
    holdfast.stop()


def test_so_many_at_a_time(warm_site):
    """Two of three workers have one, and nobody answers."""
    warm_site.options["process_control_timeout"] = "1s"
    warm_site.configure()
    gate = warm_site.marks / "gate"
    os.mkfifo(gate, 0o666)
    gate.chmod(0o666)
    write(warm_site, "slow.php", """<?php touch(__DIR__ . '/../marks/' . microtime(true) . '.at');
        fclose(fopen(__DIR__ . '/../marks/gate', 'r'));""")
    holdfast = warm_site.holdfast("--warm=fastcgi:/slow.php", f"--document-root={warm_site.root}", "--warm-parallel=2",
                                  "--warm-timeout=50s")

    def under_way():
        return len(list(warm_site.marks.glob("*.at")))

    with Entries(warm_site.marks) as entries:
        reload = process.Process([HOLDFAST, "reload", f"--name={warm_site.name}"], env=process.environment())
        entries.wait(lambda: under_way() >= 2)
    holdfast.settle()  # a third one would have been asked for with the second
    assert under_way() == 2
    opened = os.open(gate, os.O_RDWR)
    assert reload.wait() == 0
    os.close(opened)
    assert under_way() >= 3
    holdfast.stop()


LATER = SLOW + """
$main = posix_getppid();
foreach (explode(' ', trim(file_get_contents("/proc/$main/task/$main/children"))) as $pid)
    file_put_contents(__DIR__ . '/../marks/nice', explode(' ', file_get_contents("/proc/$pid/stat"))[18] . "\\n", FILE_APPEND);"""


def test_priority_of_those_that_were_forked_later(warm_site):
    """With the right to change nice values: a process forked in a warm-up inherits the low priority, and gets its own back."""
    options = {"pm": "dynamic", "pm.max_children": 4, "pm.start_servers": 2, "pm.min_spare_servers": 2,
               "pm.max_spare_servers": 2, "user": None, "group": None, "access.log": None}
    warm_site.pools[0].options.update(options)
    warm_site.configure(error_log=warm_site.marks / "fpm.log")
    write(warm_site, "later.php", LATER)
    holdfast = warm_site.holdfast(
        "--warm=fastcgi:/later.php", f"--document-root={warm_site.root}", "--warm-timeout=50s",
        **warm_site.without_privilege("--inh-caps=+sys_nice", "--ambient-caps=+sys_nice"))
    with gate(warm_site):
        master = begin_slow_page(warm_site, holdfast)
        end = time.monotonic() + DEADLINE
        while len(process.children(master)) < 4:  # php-fpm looks each second; one of them keeps the cache
            assert time.monotonic() < end
            holdfast.settle()
    holdfast.wait("generation 2 is active")
    values = (warm_site.marks / "nice").read_text().split()
    assert len(values) >= 4 and set(values) == {"19"}
    for pid in [master, *process.children(master)]:
        assert os.getpriority(os.PRIO_PROCESS, pid) == os.nice(0)
    holdfast.stop()


def test_a_list_that_is_not_there(warm_site):
    holdfast = warm_site.holdfast(f"--warm=file:{warm_site.directory}/none", f"--document-root={warm_site.root}")
    assert warmed(holdfast, 2) == f"had nothing to warm; {warm_site.directory}/none cannot be read: No such file or directory"
    holdfast.stop()


# ---- other servers ----


def test_php_cgi(make_site):
    site = warming.make(make_site)
    holdfast = site.holdfast("--warm=fastcgi:/pid.php", f"--document-root={site.root}", f"--listen={site.address}",
                             "--handoff=stdin", "--ready=delay:300ms", command=[PHP_CGI])
    assert re.match(r"warmed by 1 requests in [\d.]+ m?s", warmed(holdfast, 2))
    assert [visit[1] for visit in visits(site)] == ["warm-up"]
    holdfast.stop()



@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_http(make_site, listen):
    """The page is requested once from the next generation, with the headers; the answer does not matter."""
    site = make_site(listen)
    asked = site.directory / "asked"
    holdfast = site.holdfast(f"--listen={site.address}", "--ready=notify", f"--directory={site.directory}", "--warm=http:/page?x",
                             "--http-header=Host: www.example.org", command=[HELPERS / "http_server.py"])
    (site.directory / "health").write_text("500 out of cheese")
    before = process.children(holdfast.pid)
    asked.touch()
    assert warmed(holdfast, 2).startswith("warmed by 1 requests (1 failed) in ")
    line, = asked.read_text().splitlines()
    pid, target, host, own, agent = line.split(" ", 4)
    assert (target, host, own) == ("/page?x", "www.example.org", "warm-up") and "(warm-up)" in agent
    assert int(pid) not in before
    holdfast.stop()


@pytest.mark.parametrize("section, command", [
    ("gunicorn", ["gunicorn", "--workers=1", "--threads=2", "--preload", "hello:application"]),
    ("node", ["node", "hello.js"])])
def test_other_servers(site, section, command):
    site.pools[:] = []
    ready = "notify" if section == "gunicorn" else "log:ready"
    holdfast = site.holdfast(f"--listen={site.address}", f"--ready={ready}", f"--directory={EXAMPLES}", "--warm=http:/",
                             command=command)
    assert re.match(r"warmed by 1 requests in [\d.]+ m?s", warmed(holdfast, 2))
    holdfast.stop()
