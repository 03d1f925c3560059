# SPDX-License-Identifier: MIT
"""What is released of this tree: its Debian package, and all that a release makes on the way."""
import contextlib
import fcntl
import functools
import http.server
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
from typing import NamedTuple

from harness.paths import ROOT
from harness.process import environment

IDENTITY = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Test"), ("EMAIL", "test@holdfast.example"))}
# dpkg takes what is older than the last entry of debian/changelog as it is: a date before everything
DATE = {"SOURCE_DATE_EPOCH": "1577836800"}


def run(*words, directory=None, **more):
    made = subprocess.run([str(word) for word in words], env=environment(**more), stdin=subprocess.DEVNULL, cwd=directory,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert made.returncode == 0, f"{words[0]}: {made.stdout}"
    return made.stdout


@contextlib.contextmanager
def shared(directory):
    """Those who build into the same directory one at a time share what the first has built: is there anything to do?"""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = directory / ".done"
        yield not done.exists()
        done.touch()


def version():
    return re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text()).group(1)


def build(directory):
    """The .deb that tests/run has made already, or one that is made in a directory."""
    made = os.environ.get("HOLDFAST_PACKAGE")
    if not made:
        with shared(directory) as needed:
            if needed:
                make(directory)
    package, = pathlib.Path(made or directory).glob("holdfast_*.deb")
    return package


def make(directory):
    """By units/debian/build, without the unit tests."""
    run(ROOT / "units/debian/build", directory, DEB_BUILD_OPTIONS="nocheck", DEB_BUILD_PROFILES="nocheck", **DATE)


class Release(NamedTuple):
    repository: pathlib.Path  # with the branches main and debian, and a tag
    tarball: pathlib.Path  # of meson dist
    package: pathlib.Path
    log: str  # of what built that


def release(directory):
    """As a maintainer does it: a tag, meson dist, the branch for Debian, uscan, gbp buildpackage."""
    repository, dist = directory / "repository", directory / "dist"
    tarball = dist / "meson-dist" / f"holdfast-{version()}.tar.xz"
    with shared(directory) as needed:
        if needed:
            make_repository(repository)
            run("meson", "setup", "-Dtests=false", dist, repository)
            run("meson", "dist", "-C", dist, "--no-tests", "--formats=xztar")
            run("units/debian/branch", directory=repository, **IDENTITY)
            run("git", "checkout", "--quiet", "debian", directory=repository)
            download(tarball, repository, directory)
            log = run("gbp", "buildpackage", f"--git-tarball-dir={directory}", f"--git-export-dir={directory}",
                      "--git-builder=dpkg-buildpackage -us -uc", directory=repository, **DATE, **IDENTITY)
            (directory / "log").write_text(log)
    package, = directory.glob("holdfast_*.deb")
    return Release(repository, tarball, package, (directory / "log").read_text())


def make_repository(repository):
    """The files as they are, committed and tagged."""
    top, below = (shutil.ignore_patterns(*names) for names in ((".git", "build", "build-*"), ("__pycache__",)))
    shutil.copytree(ROOT, repository, symlinks=True,
                    ignore=lambda directory, names: (top if directory == str(ROOT) else below)(directory, names))
    for words in ("init --quiet --initial-branch=main", "add --all", "commit --quiet --message=Release", f"tag v{version()}"):
        run("git", *words.split(), directory=repository, **IDENTITY)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def download(tarball, tree, directory):
    """uscan, from a page that lists releases as the one in debian/watch does."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tarball.parent))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        text, count = re.subn(r"https://holdfast\.example/releases/", f"http://127.0.0.1:{server.server_port}/",
                              (tree / "debian/watch").read_text())
        assert count == 1
        watch = directory / "watch"
        watch.write_text(text)
        run("uscan", f"--watchfile={watch}", "--package=holdfast", f"--upstream-version={version()}",
            "--download-current-version", "--force-download", "--rename", f"--destdir={directory}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    make(sys.argv[1])
