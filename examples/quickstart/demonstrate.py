# SPDX-License-Identifier: MIT
"""Replaces php-fpm under load, without and with holdfast, and prints what happened to the requests.

    demonstrate.py HOLDFAST PHP_FPM [--keep | --live]

What `run` starts once everything is installed and built.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from live import Live
from website import Failure, Site

LOAD = pathlib.Path(__file__).resolve().parents[2] / "tests" / "helpers" / "load.py"
REPLACEMENTS = 5
PAUSE = 1.0  # seconds between two of them
RATE = 250  # requests a second
SLOW_SHARE = 0.05
SLOW_MS = 300


class Interrupted(Exception):
    """A signal asked us to stop."""


class Load:
    """Requests at a fixed rate, from start to stop."""

    def __init__(self, url):
        reading, writing = os.pipe()
        command = ["/usr/bin/python3", "-B", LOAD, url, f"--rate={RATE}", "--path=/index.php",
                   f"--slow-path=/busy.php?ms={SLOW_MS}", f"--slow-share={SLOW_SHARE}", f"--ready-fd={writing}"]
        try:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, pass_fds=[writing], start_new_session=True)
        finally:
            os.close(writing)
        with open(reading, "rb") as ready:
            ready.readline()

    def stop(self):
        """The account of every request."""
        self.process.terminate()
        output, _ = self.process.communicate()
        if self.process.returncode != 0:
            raise Failure("the load generator failed")
        return json.loads(output)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def measure(url, replace):
    """The account of a load during which replace() was called so many times."""
    with Load(url) as load:
        for _ in range(REPLACEMENTS):
            time.sleep(PAUSE)
            replace()
        time.sleep(PAUSE)
        return load.stop()


def measure_plain(site):
    """php-fpm by itself, stopped and started."""
    child = site.start_plain()
    if child is None:
        raise Failure(f"php-fpm does not start:\n{site.tail('php-fpm.stderr')}")

    def replace():
        nonlocal child
        child = site.restart_plain(child)

    result = measure(site.url, replace)
    site.end(child, signal.SIGQUIT)
    return result


def tell(text):
    print(text, flush=True)


def print_table(rows):
    tell(f"\n{REPLACEMENTS} replacements each, {RATE} requests a second, {SLOW_SHARE:.0%} of them {SLOW_MS} ms long\n")
    tell(f"{'':20}{'requests':>10}{'failed':>10}{'slowest*':>12}")
    for name, result in rows:
        kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(result["failures"].items()))
        tell(f"{name:20}{result['requests']:>10}{result['failed']:>10}{result['slowest_ms']:>9.0f} ms"
             f"{'   ' if kinds else ''}{kinds}")
    tell("\n* of the short requests")


def keep_serving(site, holdfast):
    live = Live(site)
    try:
        live.begin()
        serve_until_interrupted(site, holdfast, live)
    finally:
        live.close()


def serve_until_interrupted(site, holdfast, live):
    tell(f"""
It keeps serving until you press Ctrl-C, which ends and removes everything:

  watch it live   {live.url}    (with a button that reloads it)
  open a page     curl {site.url}/
  reload it       {os.path.relpath(site.holdfast_path)} reload --name={site.name}
  read its log    {site.log}""")
    try:
        holdfast.wait()
    except Interrupted:
        return
    raise Failure(f"holdfast has ended:\n{site.tail(site.log.name)}")


def demonstrate(site, keep):
    tell(f"php-fpm serves {site.url}/ from {site.address}")
    tell("php-fpm by itself: stop, start, again until it works")
    rows = [("plain stop/start", measure_plain(site))]
    holdfast = site.start_holdfast()
    for verb in ("reload", "restart"):
        tell(f"behind holdfast: holdfast {verb}")
        rows.append((f"holdfast {verb}", measure(site.url, lambda verb=verb: site.call_holdfast(verb))))
    print_table(rows)
    lost = sum(result["failed"] for _, result in rows[1:])
    if lost:
        tell(f"holdfast lost {lost} request{'s' if lost > 1 else ''}; the end of its log:\n{site.tail(site.log.name)}")
    if keep:
        keep_serving(site, holdfast)
    site.end(holdfast)
    return 1 if lost else 0


def show_live(site):
    """Only the page, without load and figures."""
    holdfast = site.start_holdfast()
    keep_serving(site, holdfast)
    site.end(holdfast)
    return 0


def interrupt(number, _):
    raise Interrupted(number)


def main():
    holdfast, php_fpm = sys.argv[1:3]
    site = None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        site = Site(os.path.abspath(holdfast), php_fpm)
        return show_live(site) if "--live" in sys.argv[3:] else demonstrate(site, "--keep" in sys.argv[3:])
    except Failure as failure:
        print(f"examples/quickstart/run: {failure}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        return 128 + interrupted.args[0]
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if site:
            site.close()


if __name__ == "__main__":
    sys.exit(main())
