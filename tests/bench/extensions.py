# SPDX-License-Identifier: MIT
"""Which extensions php-fpm loads: a directory for PHP_INI_SCAN_DIR, whatever this machine has enabled."""
import contextlib
import os
import pathlib
import re
import subprocess
import tempfile

from harness.paths import ROOT

AVAILABLE = pathlib.Path("/etc/php/8.2/mods-available")
PACKAGES = ROOT / "examples" / "quickstart" / "packages"
APPLICATION = ["common", "opcache", "sqlite3", "intl", "mbstring", "xml"]
MANY = [*APPLICATION, "readline", "curl", "gd", "bcmath", "zip", "soap", "gmp", "bz2", "mysql", "pgsql", "odbc", "ldap", "imap",
        "tidy", "xmlrpc", "apcu", "redis", "memcached", "igbinary", "msgpack", "imagick", "enchant", "dba", "snmp",
        "pspell", "yaml", "uuid", "ssh2", "mailparse", "ds", "amqp", "mongodb", "raphf", "http"]
LAST = ["ffi", "xdebug", "pcov", "phpdbg"]  # that nobody has in production


def install(names):
    subprocess.run([PACKAGES, *(f"php8.2-{name}" for name in names)], check=True)


def modules(names):
    """Those of the installed packages of that name, in the order of loading: [(priority, module)]."""
    found = []
    for name in names:
        listed = subprocess.run(["dpkg-query", "--listfiles", f"php8.2-{name}"], check=False, capture_output=True, text=True)
        for path in re.findall(r"/usr/share/php8.2-[^/]+/[^/]+/([a-z0-9_]+)\.ini$", listed.stdout, re.MULTILINE):
            text = (AVAILABLE / f"{path}.ini").read_text()
            priority = re.search(r"priority\s*=\s*([0-9]+)", text)
            found.append((int(priority.group(1)) if priority else 20, path))
    return sorted(set(found))


def enable(directory, names, most=None):
    """Makes directory load their modules, at most so many; returns how many that are."""
    directory.mkdir(mode=0o755)
    chosen = [entry for entry in modules(names) if entry[1] not in LAST]
    if most is not None:
        # of those that come late in the list none is needed by another one
        kept = {module for _, module in modules(APPLICATION)}
        chosen = ([entry for entry in chosen if entry[1] in kept] +
                  [entry for entry in chosen if entry[1] not in kept])[:most]
    for priority, module in chosen:
        (directory / f"{priority}-{module}.ini").symlink_to(AVAILABLE / f"{module}.ini")
    return len(chosen)


@contextlib.contextmanager
def loaded(most):
    """Every php-fpm that is started meanwhile loads so many extensions, whose packages are installed if need be; gives
    how many there are. Without most, or 0, those that this machine has enabled."""
    if not most:
        yield None
        return
    if len(modules(MANY)) < most:
        install(MANY)
    before = os.environ.get("PHP_INI_SCAN_DIR")
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
        os.chmod(name, 0o755)
        directory = pathlib.Path(name) / "ini"
        os.environ["PHP_INI_SCAN_DIR"] = str(directory)
        try:
            yield enable(directory, MANY, most)
        finally:
            os.environ.pop("PHP_INI_SCAN_DIR")
            if before is not None:
                os.environ["PHP_INI_SCAN_DIR"] = before
