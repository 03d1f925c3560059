"""Whose the service is, what it may do, and what is left of holdfast's own rights."""
import json
import pathlib
import pwd
import socket

import pytest

from harness import fastcgi, net, process, words
from harness.holdfast import call
from harness.paths import HELPERS, HOLDFAST, PHP_FPM, PHP_FPM_PLAIN, PYTHON

SERVER = [PYTHON, HELPERS / "listen_fds_server.py"]
WWW_DATA = pwd.getpwnam("www-data")
NUMBERS = {"chown": 0, "dac_override": 1, "dac_read_search": 2, "fowner": 3, "kill": 5, "setgid": 6, "setuid": 7,
           "setpcap": 8, "net_bind_service": 10, "sys_ptrace": 19}


def status(pid):
    """The fields of /proc/PID/status."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def capabilities(pid, which):
    """Names of those known here; others by number."""
    mask = int(status(pid)[f"Cap{which}"], 16)
    names = {number: name for name, number in NUMBERS.items()}
    return {names.get(number, number) for number in range(64) if mask >> number & 1}


def low_port():
    """Free, and below what is everybody's."""
    for port in range(1023, 600, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port below 1024")


def ask(address):
    with fastcgi.connect(address) as connection:
        return json.loads(connection.makefile().readline())


def unprivileged_site(make_site, **options):
    site = make_site(pool_options={"user": None, "group": None}, children=2, **options)
    site.configure(error_log=site.marks / "fpm.log")
    return site


# ---- --user and --group ----


def test_a_privileged_port_for_an_unprivileged_service(make_site):
    site = make_site()
    address = f"127.0.0.1:{low_port()}"
    holdfast = site.holdfast("--user=www-data", "--ready=notify", f"--listen={address}", command=SERVER)
    facts = status(ask(address)["pid"])
    assert facts["Uid"].split() == [str(WWW_DATA.pw_uid)] * 4
    assert facts["Gid"].split() == [str(WWW_DATA.pw_gid)] * 4
    assert facts["Groups"].split() == [str(WWW_DATA.pw_gid)]
    assert int(facts["CapPrm"], 16) == int(facts["CapEff"], 16) == 0
    assert facts["NoNewPrivs"] == "0"
    environ = pathlib.Path(f"/proc/{ask(address)['pid']}/environ").read_bytes().split(b"\0")
    assert [line for line in environ if line.startswith(b"HOME=")] == [f"HOME={WWW_DATA.pw_dir}".encode()]
    assert b"USER=www-data" in environ
    holdfast.replace(2)
    assert status(ask(address)["pid"])["Uid"].split()[0] == str(WWW_DATA.pw_uid)
    holdfast.stop()


def test_a_group_of_its_own(make_site):
    site = make_site()
    holdfast = site.holdfast("--user=www-data", "--group=adm", "--ready=notify", f"--listen={site.address}",
                             command=SERVER)
    assert status(ask(site.address)["pid"])["Gid"].split()[0] == "4"
    holdfast.stop()


@pytest.mark.parametrize("program", [PHP_FPM, PHP_FPM_PLAIN])
def test_php_fpm_as_another_user(make_site, program):
    site = unprivileged_site(make_site)
    holdfast = site.holdfast("--user=www-data", command=[program, "-y", site.configuration_path])
    first = site.main_pid()
    assert status(first)["Uid"].split() == [str(WWW_DATA.pw_uid)] * 4
    holdfast.replace(2)
    assert site.main_pid() != first
    assert not holdfast.lines.find("can not|WARNING: .*[Pp]id")
    holdfast.stop()


@pytest.mark.parametrize("option, told", [
    ("--user=no-such-user", 'there is no user "no-such-user"'),
    ("--group=no-such-group", 'there is no group "no-such-group"'),
    ("--user=4242424", "add --group"),
])
def test_who_is_unknown_is_told(site, option, told):
    result = call("run", f"--name={site.name}", option, f"--listen={site.address}", "--", *SERVER)
    assert result.returncode == words.EXIT_FAILURE
    assert told in result.stderr
    assert not net.listening(site.ports()[0])


@pytest.mark.parametrize("option", ["--user=root", "--capabilities=none"])
def test_another_user_needs_root(site, option):
    runtime = site.directory / "run"
    runtime.mkdir()
    runtime.chmod(0o777)
    program = site.directory / "holdfast"
    program.write_bytes(HOLDFAST.read_bytes())
    program.chmod(0o755)
    child = process.Process(["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", program, "check",
                             option, f"--listen={site.address}", "--", "sleep", "60"], stderr=-1,
                            env=process.environment(XDG_RUNTIME_DIR=str(runtime)))
    told = child.popen.stderr.read().decode()
    child.popen.stderr.close()
    assert child.wait() == words.EXIT_FAILURE
    assert "root" in told and option.split("=")[0] in told


def test_the_user_that_holdfast_is_already_is_fine(site):
    runtime = site.directory / "run"
    runtime.mkdir()
    runtime.chmod(0o777)
    program = site.directory / "holdfast"
    program.write_bytes(HOLDFAST.read_bytes())
    program.chmod(0o755)
    holdfast = site.holdfast("--user=www-data", "--ready=notify", f"--listen={site.address}", command=SERVER,
                             wrapper=["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", program],
                             env={"XDG_RUNTIME_DIR": str(runtime)}, runtime=runtime / "holdfast")
    assert ask(site.address)["pid"]
    holdfast.stop()


# ---- --capabilities and --no-new-privileges ----


def test_a_service_gets_no_more_than_its_capabilities(make_site):
    site = make_site()
    holdfast = site.holdfast("--capabilities=setuid,CAP_SETGID,kill")
    master = site.main_pid()
    for which in ("Bnd", "Prm", "Eff"):
        assert capabilities(master, which) == {"setuid", "setgid", "kill"}
    assert status(master)["NoNewPrivs"] == "0"
    holdfast.replace(2)
    assert capabilities(site.main_pid(), "Bnd") == {"setuid", "setgid", "kill"}
    holdfast.stop()


def test_none_and_no_new_privileges(make_site):
    site = make_site()
    holdfast = site.holdfast("--capabilities=none", "--no-new-privileges", "--ready=notify",
                             f"--listen={site.address}", command=SERVER)
    pid = ask(site.address)["pid"]
    for which in ("Bnd", "Prm", "Eff", "Inh", "Amb"):
        assert capabilities(pid, which) == set()
    assert status(pid)["NoNewPrivs"] == "1"
    assert status(holdfast.pid)["NoNewPrivs"] == "0"
    holdfast.stop()


def test_php_fpm_with_no_new_privileges(site):
    holdfast = site.holdfast("--no-new-privileges")
    assert status(site.main_pid())["NoNewPrivs"] == "1"
    holdfast.replace(2)
    assert site.get()[0] == 200
    holdfast.stop()
