# SPDX-License-Identifier: MIT
"""Shared by the tests of the warm-up."""
import os
import re
import time

from harness import fastcgi

WARMED = r"generation {} (warmed .*|had nothing to warm.*)"
STATE = "<?php echo json_encode(array_map('basename', array_keys(opcache_get_status(true)['scripts'])));"
LONG_AGO = time.time() - 3600


def write(site, name, text, root=None):
    """An old file: opcache takes no new one."""
    path = (root or site.root) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def ask(site, name, address=None):
    return fastcgi.request(address or site.address, str(site.root / name))[1]


def warmed(holdfast, number):
    """What a reload to generation number says of its warm-up."""
    holdfast.reload(number)
    return re.search(WARMED.format(number), holdfast.wait(WARMED.format(number))).group(1)


PID = "<?php file_put_contents(__DIR__ . '/../marks/pids', getmypid() . ' ' . ($_SERVER['HTTP_X_HOLDFAST'] ?? '') . ' ' . " \
      "$_SERVER['HTTP_HOST'] . ' ' . $_SERVER['REQUEST_METHOD'] . ' ' . $_SERVER['REQUEST_URI'] . ' ' . " \
      "($_SERVER['HTTPS'] ?? '') . ' ' . $_SERVER['HTTP_USER_AGENT'] . \"\\n\", FILE_APPEND);"


def visits(site):
    return [line.split(" ", 6) for line in (site.marks / "pids").read_text().splitlines()]


def patient(options):
    """On a busy machine, a process with the lowest priority takes its time."""
    return options if any(option.startswith("--warm-timeout=") for option in options) else ("--warm-timeout=50s", *options)


def make(make_site, *arguments, **options):
    """A site of three workers, with an access log, a script that is to be warmed, one that tells when it runs, and one
    that shows what the cache holds."""
    site = make_site(*arguments, children=3, pool_options={}, **options)
    site.pools[0].options["access.log"] = str(site.directory / "access.log")
    site.configure()
    write(site, "used.php", "<?php function used() { return 1; } echo 'used';")
    write(site, "executed.php", "<?php file_put_contents(__DIR__ . '/../marks/executed', 'x', FILE_APPEND); echo 'e';")
    write(site, "state.php", STATE)
    write(site, "pid.php", PID)
    run = site.holdfast
    site.holdfast = lambda *options, **more: run(*patient(options), **more)
    return site
