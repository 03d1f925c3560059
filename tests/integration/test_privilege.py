# SPDX-License-Identifier: MIT
"""The service's user and privileges, and the privileges that holdfast keeps."""
import dataclasses
import json
import os
import pathlib
import pwd
import shutil
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

def test_a_user_opens_the_log_of_official_images(make_site):
    """/proc/self/fd/2 is a pipe that root has made: php-fpm as another user opens it anew."""
    site = unprivileged_site(make_site)
    site.configure(error_log="/proc/self/fd/2")
    options = [f"--name={site.name}", "--user=www-data", "--", *map(str, site.command)]
    checked = call("check", *options)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    holdfast = site.holdfast("--user=www-data")
    holdfast.replace(2)
    assert holdfast.lines.find("NOTICE: fpm is running") and site.get()[0] == 200
    holdfast.stop()



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
    overlay, = holdfast.runtime.glob("gen-1-*.conf")
    assert overlay.owner() == "www-data" and overlay.stat().st_mode & 0o777 == 0o600
    holdfast.replace(2)
    assert site.main_pid() != first
    assert not holdfast.lines.find("cannot|WARNING: .*[Pp]id")
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


# ---- holdfast's own ----


def kept(holdfast):
    holdfast.settle()
    assert capabilities(holdfast.pid, "Eff") == capabilities(holdfast.pid, "Prm")
    return capabilities(holdfast.pid, "Prm")


def test_holdfast_keeps_little_and_the_service_has_all(site):
    own = capabilities("self", "Prm")
    holdfast = site.holdfast()
    assert kept(holdfast) == {"kill", "sys_ptrace"}
    assert capabilities(holdfast.pid, "Bnd") == own
    assert capabilities(site.main_pid(), "Eff") == own
    holdfast.replace(2)
    assert capabilities(site.main_pid(), "Eff") == own
    holdfast.restart()
    assert capabilities(site.main_pid(), "Prm") == own
    assert kept(holdfast) == {"kill", "sys_ptrace"}
    holdfast.stop()


def test_a_unix_path_with_an_owner_in_a_directory_of_another_user(make_site):
    """Given its rights, removed at the end, and so is the pid file, as before."""
    site = make_site("unix")
    directory = site.directory / "run"
    directory.mkdir(mode=0o755)
    shutil.chown(directory, "www-data", "www-data")
    site.address = site.pools[0].listen = str(directory / "fpm.sock")
    site.configure(pid=directory / "fpm.pid")
    holdfast = site.holdfast()
    assert kept(holdfast) == {"kill", "sys_ptrace", "chown", "fowner", "dac_override"}
    site.pools[0].options["listen.group"] = "adm"
    site.configure()
    holdfast.replace(2)
    holdfast.settle()
    assert pathlib.Path(site.address).group() == "adm"
    os.unlink(site.address)
    holdfast.replace(3)
    assert site.get()[0] == 200
    holdfast.stop()
    assert not list(directory.iterdir())


def test_private_files_stay_readable(make_site):
    """php-fpm as root can read them, so holdfast must not prevent that."""
    site = make_site()
    private = site.directory / "private"
    private.mkdir(mode=0o700)
    site.configuration_path = private / "php-fpm.conf"
    site.configure()
    for path in (site.configuration_path, private):
        os.chmod(path, 0o700)
        shutil.chown(path, "www-data", "www-data")
    holdfast = site.holdfast(f"--directory={private}")
    assert {"dac_read_search", "dac_override"} <= kept(holdfast)
    holdfast.replace(2)
    holdfast.stop()


def test_what_another_user_needs_is_kept(make_site):
    site = unprivileged_site(make_site)
    holdfast = site.holdfast("--user=www-data", "--capabilities=none")
    assert kept(holdfast) == {"kill", "sys_ptrace", "setuid", "setgid", "setpcap", "chown"}
    # what php-fpm makes for holdfast alone is that user's, and no capability is needed to use or remove it
    facts = json.loads(holdfast.call("status", "--json").stdout)
    assert [(pool["idle"], pool["error"]) for pool in facts["pools"]] == [(2, None)]
    assert [cache["error"] for cache in facts["caches"]] == [None]
    assert (holdfast.runtime / "status").stat().st_mode & 0o7777 == 0o770
    holdfast.replace(2)
    assert {path.name.split("-")[0] for path in (holdfast.runtime / "status").iterdir()} == {"2"}
    holdfast.stop()


def test_what_no_new_privs_would_keep_from_the_service_is_kept(site):
    holdfast = site.holdfast("--no-new-privileges", "--capabilities=setuid,setgid,kill,chown")
    assert capabilities(site.main_pid(), "Eff") == {"setuid", "setgid", "kill", "chown"}
    assert kept(holdfast) == {"kill", "sys_ptrace", "setuid", "setgid", "setpcap", "chown"}
    holdfast.replace(2)
    assert capabilities(site.main_pid(), "Eff") == {"setuid", "setgid", "kill", "chown"}
    holdfast.stop()


def test_a_later_listener_that_needs_more_is_refused(site):
    holdfast = site.holdfast()
    first = site.main_pid()
    port = low_port()
    pool = site.pools[0]
    site.pools.append(dataclasses.replace(pool, name="low", listen=f"127.0.0.1:{port}", children=1))
    site.configure()
    result = holdfast.call("reload")
    assert result.returncode == words.EXIT_FAILURE
    assert "net_bind_service" in result.stderr and "to bind a port below 1024" in result.stderr
    assert site.main_pid() == first
    site.pools[1].listen = str(site.directory / "fpm.sock")
    site.pools[1].options = {"listen.owner": "www-data"}
    site.configure()
    result = holdfast.call("reload")
    assert result.returncode == words.EXIT_FAILURE and "chown" in result.stderr
    site.pools[1].options = {"listen.owner": None, "listen.group": None}
    site.configure()
    assert holdfast.call("reload").returncode == 0
    holdfast.stop()


def test_a_low_port_keeps_what_binds_it(make_site):
    site = make_site(f"127.0.0.1:{low_port()}")
    holdfast = site.holdfast()
    assert kept(holdfast) == {"kill", "sys_ptrace", "net_bind_service"}
    holdfast.stop()


def test_check_tells_what_would_be_kept(make_site):
    site = make_site(f"127.0.0.1:{low_port()}")
    result = call("check", f"--name={site.name}", "--", PHP_FPM, "-y", site.configuration_path)
    assert result.returncode == 0, result.stderr
    lines = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ") and "  to " in line]
    assert lines == ["kill", "sys_ptrace", "net_bind_service"]


SOCKET_UNIT = """import os, socket, sys
unit = socket.socket(socket.AF_UNIX)
unit.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
unit.listen()
os.dup2(unit.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])"""


def test_a_path_of_a_socket_unit_needs_no_rights_of_its_own(make_site):
    """Its owner and mode are the unit's, whatever listen.owner says: they were given up, and a reload wants none."""
    site = make_site("unix", children=2)
    assert "listen.owner" in site.configuration_path.read_text()
    holdfast = site.holdfast(wrapper=[PYTHON, "-c", SOCKET_UNIT, site.address, HOLDFAST])
    assert "chown" not in capabilities(holdfast.pid, "Prm")
    before = os.stat(site.address)
    result = holdfast.call("reload")
    assert result.returncode == 0, result.stderr
    holdfast.wait(words.gone(1))
    assert holdfast.call("restart").returncode == 0
    after = os.stat(site.address)
    assert (before.st_ino, before.st_uid) == (after.st_ino, after.st_uid) and site.get()[0] == 200
    assert holdfast.process.stop() == 0
    os.unlink(site.address)  # the unit's
