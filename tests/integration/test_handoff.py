# SPDX-License-Identifier: MIT
"""Other programs and other conventions: listen-fds, stdin, and sockets that come from systemd."""
import json
import os
import re
import signal
import subprocess

import pytest

from harness import fastcgi, net, words
from harness.holdfast import call
from harness.lines import Lines
from harness.paths import HELPERS, HOLDFAST, PHP_CGI, PHP_FPM, PHP_FPM_PLAIN, PYTHON
from harness.phpfpm import Pool
from harness.process import Process, children, environment, strays
from harness.wait import DEADLINE, Ended

SERVER = [PYTHON, HELPERS / "listen_fds_server.py"]


def ask(address):
    with fastcgi.connect(address) as connection, connection.makefile() as stream:
        return json.loads(stream.read())


@pytest.fixture
def generic(site):
    """A site whose service is the listen-fds server, on a TCP and a unix listener."""
    site.pools[:] = []
    site.tcp = f"127.0.0.1:{net.free_port()}"
    site.unix = str(site.directory / "own.sock")
    site.instance = site.holdfast(f"--listen={site.tcp},name=web,backlog=99",
                                  f"--listen=unix:{site.unix},mode=0600,owner=www-data,name=local", command=SERVER)
    return site


def test_listen_fds(generic):
    assert ask(generic.tcp)["name"] == "web"
    assert ask(generic.unix)["name"] == "local"
    assert ask(generic.unix)["pid"] in children(generic.instance.pid)
    generic.instance.settle()
    assert net.backlog(generic.tcp) == 99
    assert os.stat(generic.unix).st_mode & 0o777 == 0o600
    generic.instance.stop()
    assert not net.listening(int(generic.tcp.rpartition(":")[2]))


def test_listen_fds_is_replaced(generic):
    first = ask(generic.tcp)["pid"]
    generic.instance.replace(2)
    second = ask(generic.tcp)["pid"]
    generic.instance.restart()
    third = ask(generic.unix)["pid"]
    assert len({first, second, third}) == 3
    generic.instance.stop()


def test_listen_fds_crash(generic):
    first = ask(generic.tcp)["pid"]
    with Ended(first) as held:
        signal.pidfd_send_signal(held.fd, signal.SIGKILL)
    generic.instance.wait(words.ready(2))
    assert ask(generic.tcp)["pid"] != first
    generic.instance.stop()


def test_foreign_variables_do_not_reach_the_service(make_site):
    """An outer supervisor's sockets are not the service's."""
    site = make_site()
    site.pools[:] = []
    address = f"127.0.0.1:{net.free_port()}"
    site.holdfast(f"--listen={address}", command=SERVER,
                  env={"LISTEN_FDS": "7", "LISTEN_PID": "1", "LISTEN_PIDFDID": "42", "LISTEN_FDNAMES": "a:b", "FPM_SOCKETS": "x=9"})
    assert ask(address)["pid"]


def test_server_starter(site):
    site.pools[:] = []
    tcp, unix = f"127.0.0.1:{net.free_port()}", str(site.directory / "own.sock")
    holdfast = site.holdfast(f"--listen={tcp}", f"--listen={unix}", "--handoff=server-starter", "--ready=delay:100ms",
                             command=["perl", HELPERS / "server_starter.pl"])
    first = ask(tcp)
    assert (first["name"], first["generation"]) == (tcp, 1)
    assert ask(unix)["name"] == unix
    holdfast.replace(2)
    second = ask(tcp)
    assert second["generation"] == 2 and second["pid"] != first["pid"]
    holdfast.stop()


@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_php_cgi_on_stdin(make_site, listen):
    site = make_site(listen)
    words_of_listen = site.address if listen == "tcp" else f"unix:{site.address},owner=www-data"
    holdfast = site.holdfast(f"--listen={words_of_listen}", "--handoff=stdin",
                             command=["env", "PHP_FCGI_CHILDREN=4", "PHP_FCGI_MAX_REQUESTS=0", PHP_CGI])
    first = site.main_pid()
    holdfast.restart()
    assert site.main_pid() != first
    holdfast.stop()


def test_php_cgi_is_known_by_name(site):
    holdfast = site.holdfast(f"--listen={site.address}", command=[PHP_CGI], env={"PHP_FCGI_CHILDREN": "4"})
    first = site.main_pid()
    holdfast.replace(2)
    assert site.main_pid() != first
    holdfast.stop()


def test_php_fpm_sees_the_systemd_convention_too(make_site):
    site = make_site(children=2, pool_options={"clear_env": "no"})
    holdfast = site.holdfast()
    names = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET"]
    values = dict(line.split("=", 1) for line in site.get("/env.php?names=" + ",".join(names))[1].splitlines())
    assert values["LISTEN_FDS"] == "1"
    assert values["LISTEN_PID"] == str(site.main_pid())
    assert values["LISTEN_FDNAMES"] and ":" not in values["LISTEN_FDNAMES"]
    assert values["NOTIFY_SOCKET"] != str(site.notify.path)
    holdfast.stop()


def activate(address, *command, **options):
    """Starts a command as systemd does for a .socket unit: the socket listens before the command runs."""
    with net.listen(address) as listener:
        return Process([PYTHON, HELPERS / "with_listen_fds.py", f"php={listener.fileno()}", "--", *command],
                       pass_fds=[listener.fileno()], **options)


@pytest.mark.parametrize("program", [PHP_FPM, PHP_FPM_PLAIN], ids=["notify", "plain"])
@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_exec(make_site, listen, program):
    """The sockets go to php-fpm; holdfast is not there any more."""
    site = make_site(listen)
    process = activate(site.address, HOLDFAST, "exec", "--", program, "-y", site.configuration_path,
                       env=environment(NOTIFY_SOCKET=str(site.notify.path)))
    try:
        if program == PHP_FPM:
            site.notify.wait("READY=1", process.ended)
        # The requests queue until php-fpm takes them.
        slow = site.start_slow(ms=500)
        assert site.main_pid() == process.pid
        process.stop(signal.SIGQUIT)
        assert slow.get()[0] == 200
        # systemd's path is systemd's.
        assert listen == "tcp" or os.path.exists(site.address)
    finally:
        process.stop(signal.SIGKILL)
    assert not strays()


def test_exec_under_systemd_socket_activate(site):
    process = Process(["systemd-socket-activate", "-l", site.address, "--fdname=php", HOLDFAST, "exec", "--", PHP_FPM,
                       "-y", site.configuration_path], env=environment(), stderr=subprocess.PIPE)
    lines = Lines(process.popen.stderr)
    try:
        lines.wait("Listening on ")
        assert site.main_pid() == process.pid
    finally:
        process.stop(signal.SIGQUIT)
    lines.join()
    assert not strays()


def test_exec_without_sockets(site):
    result = call("exec", "--", PHP_FPM, "-y", site.configuration_path)
    assert result.returncode == words.EXIT_FAILURE
    assert "LISTEN_FDS" in result.stderr and len(result.stderr.splitlines()) == 1


def test_exec_with_a_pool_nobody_passed(make_site):
    """php-fpm would bind that socket itself, and nobody would hold it: this is an error."""
    passed, other = (f"127.0.0.1:{net.free_port()}" for _ in range(2))
    site = make_site(pools=[Pool(passed, name="a", children=1), Pool(other, name="b", children=1)])
    process = activate(passed, HOLDFAST, "exec", "--", PHP_FPM, "-y", site.configuration_path,
                       env=environment(), stderr=subprocess.PIPE)
    lines = Lines(process.popen.stderr)
    try:
        lines.wait(re.escape(other))
    finally:
        process.stop(signal.SIGTERM)
    lines.join()


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_sockets_that_were_passed_to_another_process(site, verb):
    """This is what a shell or an init between systemd and holdfast causes."""
    with net.listen(f"127.0.0.1:{net.free_port()}") as listener:
        passing = [PYTHON, HELPERS / "with_listen_fds.py", str(listener.fileno()), "--", "sh", "-c", '"$@"; exit $?', "sh"]
        result = subprocess.run([*passing, HOLDFAST, verb, f"--name={site.name}", "--", "sleep", "60"], pass_fds=[listener.fileno()],
                                env=environment(), capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert result.returncode == words.EXIT_FAILURE
    told = result.stderr.splitlines()
    assert re.search(r"1 sockets were passed \(LISTEN_FDS\), but to process \d+ \(LISTEN_PID\), and this is \d+: whatever runs between "
                     r"systemd and holdfast must execute it in its own process", told[0]), result.stderr
    assert len(told) == (1 if verb == "exec" else 2), result.stderr


PIDFD_NUMBER = """import os, sys
fds = [os.pidfd_open(pid) for pid in (os.getpid(), os.getppid())]
own, other = (os.fstat(fd).st_ino for fd in fds)
os.environ["LISTEN_PIDFDID"] = str({"own": own, "other": other}[sys.argv[1]])
os.execvp(sys.argv[2], sys.argv[2:])"""


@pytest.mark.parametrize("whose", ["own", "other"])
def test_sockets_of_systemd_259_come_with_the_number_of_a_pidfd(site, whose):
    """Of a process that had the same pid before, or of whoever writes LISTEN_PID=$$."""
    with net.listen(f"127.0.0.1:{net.free_port()}") as listener:
        passing = [PYTHON, HELPERS / "with_listen_fds.py", str(listener.fileno()), "--", PYTHON, "-c", PIDFD_NUMBER, whose]
        result = subprocess.run([*passing, HOLDFAST, "exec", "--", "/bin/echo", "executed"], pass_fds=[listener.fileno()],
                                env=environment(), capture_output=True, text=True, timeout=DEADLINE, check=False)
    if whose == "own":
        assert (result.returncode, result.stdout) == (0, "executed\n"), result.stderr
    elif result.returncode == 0:
        pytest.skip("this kernel gives pidfds no numbers of their own")
    else:
        assert "1 sockets were passed (LISTEN_FDS), but to another process with this pid (LISTEN_PIDFDID)" in result.stderr
