# SPDX-License-Identifier: MIT
"""Every front end of examples/, with its own file: nothing is lost at reloads and restarts, or the reason is shown."""
import os
import signal

import pytest

from harness import fastcgi, process, words
from harness.frontends import FRONT_ENDS

pytestmark = pytest.mark.load

RELOADS = 10
RATE = 100  # of GET and of POST, each
OFF, KEEP_ALIVE, REPEAT_POSTS = (), ("keep-alive",), ("keep-alive", "repeat-posts")

KEEPING = [("nginx", KEEP_ALIVE), ("nginx", REPEAT_POSTS), ("apache", KEEP_ALIVE), ("haproxy", KEEP_ALIVE),
           ("haproxy", REPEAT_POSTS)]
SETTINGS = [*((name, OFF) for name in FRONT_ENDS), *KEEPING]

settings = pytest.mark.parametrize("name, marks", SETTINGS,
                                   ids=["-".join([name, *marks[-1:]]) for name, marks in SETTINGS])


def repeats_posts(name, marks):
    return marks == REPEAT_POSTS or FRONT_ENDS[name].repeats_posts


# The handover is the default, gentle: it takes the longest, and a worker that leaves is the race with keep-alive.
@settings
def test_reloads_and_a_restart(make_site, name, marks):
    site = make_site(children=24)
    front_end = site.serve_by(FRONT_ENDS[name], marks=marks)
    holdfast = site.holdfast()
    gets, posts = (site.load(rate=RATE, method=method) for method in ("GET", "POST"))
    for number in range(2, RELOADS + 2):
        holdfast.reload(number)
        assert site.get()[0] == 200
    for number in range(1, RELOADS + 1):
        holdfast.wait(words.gone(number))
    holdfast.restart()
    assert site.get()[0] == 200
    gets.assert_nothing_lost()
    if not marks or repeats_posts(name, marks):
        posts.assert_nothing_lost()
    else:
        # Those that met the end of a kept connection, which nobody may repeat.
        assert {entry["status"] for entry in posts.failed()} <= {502}
    # What it keeps would keep the last php-fpm.
    front_end.close()
    holdfast.stop()


@pytest.mark.plain
@pytest.mark.parametrize("method", ["GET", "POST"])
@settings
def test_the_end_of_a_kept_connection(site, name, marks, method):
    """Who keeps connections asks again when one ends as it is used, a POST only if told so. Without the lines for it
    none keeps any: lighttpd and Caddy never do."""
    responder = fastcgi.Responder()
    front_end = site.serve_by(FRONT_ENDS[name], responder.address, marks)
    assert site.get() == (200, "connection 1")
    status, body = site.get(method=method)
    if marks and method == "POST" and not repeats_posts(name, marks):
        assert status == 502
    else:
        assert (status, body) == (200, "connection 2")
    assert responder.flags[0] == (fastcgi.KEEP_CONNECTION if marks else 0)
    front_end.close()
    responder.close()


@pytest.mark.plain
def test_a_leaving_worker_serves_a_kept_connection_once_more(site):
    """And stays for it until then: why a restart waits for connections that a front end keeps, and why they end just
    as they are used."""
    site.configure(process_control_timeout="60s")
    site.plain().start()
    script = str(site.root / "hello.php")
    with fastcgi.connect(site.address) as connection:
        _, body = fastcgi.request_over(connection, script, flags=fastcgi.KEEP_CONNECTION)
        worker = int(body.split()[2])
        process.States(worker).wait("S")  # it waits for the next request
        os.kill(worker, signal.SIGQUIT)
        assert fastcgi.request_over(connection, script, flags=fastcgi.KEEP_CONNECTION)[1] == body
        with pytest.raises(ConnectionError):
            fastcgi.request_over(connection, script)


@pytest.mark.parametrize("listen", ["tcp", "unix"])
@pytest.mark.parametrize("name", FRONT_ENDS)
def test_pages(make_site, name, listen):
    """The first page, and the address of one that is no file where the front end sees the files."""
    site = make_site(listen)
    public = site.directory / "1"
    public.mkdir()
    (public / "index.php").write_text('<?php echo $_SERVER["SCRIPT_FILENAME"], " ", $_GET["a"];')
    site.root = site.directory / "current"
    site.root.symlink_to(public)
    site.serve_by(FRONT_ENDS[name])
    holdfast = site.holdfast()
    # nginx and Caddy name the release behind the link.
    root = public if name in ("nginx", "caddy") else site.root
    for page in ("/", "/some/page"):
        if (name, page) != ("haproxy", "/some/page"):
            assert site.get(f"{page}?a=b") == (200, f"{root}/index.php b")
    holdfast.stop()
