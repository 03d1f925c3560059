"""Every kind of address, and what a pool says about its socket."""
import grp
import os
import pathlib
import pwd
import stat
import subprocess

import pytest

from harness import fastcgi, net, process
from harness.phpfpm import Pool

SOMAXCONN = int(pathlib.Path("/proc/sys/net/core/somaxconn").read_text())
needs_ipv6 = pytest.mark.skipif(not net.has_ipv6(), reason="this machine has no IPv6")


def serve(make_site, listen, **options):
    site = make_site(pools=[Pool(listen, children=2, options=options)])
    return site, site.holdfast()


def hello(site, address):
    return fastcgi.request(address, str(site.root / "hello.php"))[1]


@pytest.mark.parametrize("listen, connect", [
    ("127.0.0.1:{}", "127.0.0.1:{}"),
    ("0.0.0.0:{}", "127.0.0.1:{}"),
    pytest.param("[::1]:{}", "[::1]:{}", marks=needs_ipv6),
    pytest.param("[::]:{}", "[::1]:{}", marks=needs_ipv6),
    ("localhost:{}", "localhost:{}"),
    ("{}", "127.0.0.1:{}"),
    pytest.param("{}", "[::1]:{}", marks=needs_ipv6),
])
def test_tcp(make_site, listen, connect):
    port = net.free_port()
    site, holdfast = serve(make_site, listen.format(port))
    before = hello(site, connect.format(port))
    assert before.startswith("hello ")
    holdfast.replace(2)
    after = hello(site, connect.format(port))
    assert after.startswith("hello ") and after.split()[1] != before.split()[1]
    holdfast.stop()


def test_tcp_backlog(make_site):
    port = net.free_port()
    _, holdfast = serve(make_site, f"127.0.0.1:{port}", **{"listen.backlog": 77})
    holdfast.settle()
    assert net.backlog(f"127.0.0.1:{port}") == 77


def test_default_backlog_is_the_largest(make_site):
    port = net.free_port()
    serve(make_site, f"127.0.0.1:{port}")
    assert net.backlog(f"127.0.0.1:{port}") == SOMAXCONN


def test_unix_mode_owner_group_backlog(make_site):
    site = make_site("unix", children=2, pool_options={
        "listen.owner": "www-data", "listen.group": "adm", "listen.mode": "0640", "listen.backlog": "88"})
    holdfast = site.holdfast()

    def assert_as_the_pool_says():
        holdfast.settle()
        status = os.stat(site.address)
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o640
        assert pwd.getpwuid(status.st_uid).pw_name == "www-data"
        assert grp.getgrgid(status.st_gid).gr_name == "adm"
        assert net.backlog(site.address) == 88

    assert_as_the_pool_says()
    holdfast.restart()
    assert_as_the_pool_says()
    holdfast.stop()


def test_unix_default_mode_and_group_of_the_owner(make_site):
    site = make_site("unix", children=2, pool_options={"listen.owner": "www-data", "listen.group": None})
    site.holdfast()
    status = os.stat(site.address)
    assert stat.S_IMODE(status.st_mode) == 0o660
    assert pwd.getpwuid(status.st_uid).pw_name == "www-data"
    assert status.st_gid == pwd.getpwnam("www-data").pw_gid


def test_unix_acl(make_site):
    site = make_site("unix", children=2, pool_options={
        "listen.owner": "www-data", "listen.acl_users": "www-data,games", "listen.acl_groups": "adm"})
    site.holdfast()
    shown = subprocess.run(["getfacl", "-cp", site.address], env=process.environment(), check=True,
                           capture_output=True, text=True).stdout.split()
    for entry in ("user:www-data:rw-", "user:games:rw-", "group:adm:rw-"):
        assert entry in shown
    # With an ACL, owner and group are php-fpm's to ignore.
    assert os.stat(site.address).st_uid == 0
    assert site.get()[0] == 200


def test_many_pools_of_every_kind(make_site):
    ports = [net.free_port() for _ in range(2)]
    site = make_site(pools=[Pool(f"127.0.0.1:{ports[0]}", name="one", children=1),
                            Pool(f"127.0.0.1:{ports[1]}", name="two", children=1)])
    site.pools += [Pool(str(site.directory / f"{name}.sock"), name=name, children=1) for name in ("three", "four")]
    site.configure()
    holdfast = site.holdfast()
    for _ in range(2):
        assert all(hello(site, pool.listen).startswith("hello ") for pool in site.pools)
        holdfast.restart()
    holdfast.stop()


def test_status_listen(make_site):
    port = net.free_port()
    site = make_site(children=1, pool_options={"pm.status_listen": f"127.0.0.1:{port}", "pm.status_path": "/status"})
    holdfast = site.holdfast()
    slow = site.start_slow(ms=800)

    def status():
        return fastcgi.request(f"127.0.0.1:{port}", "/status")[1]

    # The only worker is busy; this socket answers nevertheless.
    assert "active processes:     1" in status()
    assert slow.get()[0] == 200
    holdfast.replace(2)
    assert "pool:                 www" in status()
    holdfast.restart()
    assert "pool:                 www" in status()
    holdfast.stop()
    assert not net.listening(port)


def test_status_listen_on_a_path(make_site):
    site = make_site(children=1, pool_options={"pm.status_path": "/status"})
    path = site.directory / "status.sock"
    site.pools[0].options["pm.status_listen"] = path
    site.configure()
    holdfast = site.holdfast()
    for number in (2, 3):
        assert "pool:                 www" in fastcgi.request(str(path), "/status")[1]
        holdfast.replace(number)
    holdfast.stop()
