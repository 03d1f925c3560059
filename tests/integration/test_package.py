# SPDX-License-Identifier: MIT
"""The Debian package: what is in it, what lintian says, and that it works from where it is installed."""
import re
import subprocess

import pytest

from harness import package as debian
from harness import worker
from harness.paths import ROOT
from harness.process import environment

pytestmark = pytest.mark.plain

UNITS = ["holdfast-exec@.service", "holdfast-exec@.socket", "holdfast-recycle@.service", "holdfast-recycle@.timer",
         "holdfast-sweep@.service", "holdfast@.service", "holdfast@.socket"]
PAGES = ["man1/holdfast.1", "man5/holdfast.conf.5", "man7/holdfast-control.7"]
FILES = {
    "/usr/bin/holdfast",
    *(f"/usr/share/holdfast/php{version}-fpm-holdfast.conf" for version in ("7.4", "8.0", "8.1", "8.2", "8.3", "8.4", "8.5")),
    "/usr/share/lintian/overrides/holdfast",
    "/usr/share/bash-completion/completions/holdfast", "/usr/share/zsh/vendor-completions/_holdfast",
    *(f"/lib/systemd/system/{unit}" for unit in UNITS), *(f"/usr/share/man/{page}.gz" for page in PAGES),
}
DOCUMENTATION = "/usr/share/doc/holdfast/"
# The machine's own root with the package above it, in memory, for as long as one command runs.
INSIDE = """
    directory=$1 package=$2
    shift 2
    mount -t tmpfs tmpfs "$directory"
    cd "$directory"
    mkdir above work root
    dpkg-deb --extract "$package" above
    mkdir above/usr/lib
    mv above/lib/systemd above/usr/lib
    rmdir above/lib
    mount -t overlay -o lowerdir=/,upperdir=above,workdir=work overlay root
    for kernel in proc dev sys; do
        mount --rbind "/$kernel" "root/$kernel"
    done
    exec chroot root "$@"
"""


def run(*words, check=True):
    result = subprocess.run([str(word) for word in words], env=environment(), stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, check=False)
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    return debian.build((base if worker.number() is None else base.parent) / "package")


@pytest.fixture(scope="module")
def inside(package, tmp_path_factory):
    """Runs a command where the package is installed."""
    directory = tmp_path_factory.mktemp("inside")
    return lambda *words: run("unshare", "--mount", "--propagation=private", "sh", "-ec", INSIDE, "sh", directory, package,
                              *words)


def test_lintian_has_nothing_to_say(package):
    changes, = package.parent.glob("*.changes")
    said = run("lintian", "--allow-root", "--fail-on=error,warning", changes)
    assert said.stdout == ""


def contents(package):
    """{path: (mode, owner)} of its files."""
    listed = run("dpkg-deb", "--contents", package).stdout.splitlines()
    entries = [(line.split()[0], line.split()[1], line.split(maxsplit=5)[5].removeprefix(".")) for line in listed]
    return {path: (mode, owner) for mode, owner, path in entries if not path.endswith("/")}


def test_its_files(package):
    found = contents(package)
    assert {path for path in found if not path.startswith(DOCUMENTATION)} == FILES
    assert {owner for _, owner in found.values()} == {"root/root"}
    assert {path for path, (mode, _) in found.items() if "x" in mode and not path.startswith(DOCUMENTATION)} == {
        "/usr/bin/holdfast"}
    assert {"changelog.gz", "copyright", "README.md.gz", "examples/holdfast.conf"} <= {
        path.removeprefix(DOCUMENTATION) for path in found}


def test_its_fields(package):
    fields = dict(re.findall(r"(?m)^([A-Z][\w-]*): (.*)$", run("dpkg-deb", "--field", package).stdout))
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text()).group(1)
    assert fields["Version"].rpartition("-")[0] == version
    needed = {word.split()[0] for word in fields["Depends"].split(", ")}
    assert needed == {"libacl1", "libc6", "libcap2", "libsystemd0"}
    assert "libsystemd0 (>= 252)" in fields["Depends"]


def test_the_program_is_hardened(inside):
    assert "Position-Independent Executable" in inside("readelf", "--file-header", "/usr/bin/holdfast").stdout
    assert "BIND_NOW" in inside("readelf", "--dynamic", "/usr/bin/holdfast").stdout
    symbols = inside("readelf", "--dyn-syms", "--wide", "/usr/bin/holdfast").stdout
    assert "__stack_chk_fail@" in symbols and re.search(r"__\w+_chk@", symbols.replace("__stack_chk_fail", ""))


def test_the_program_runs(inside):
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text()).group(1)
    assert inside("holdfast", "--version").stdout == f"holdfast {version}\n"
    told = inside("holdfast", "check", "--name=package", "--listen=/run/package.sock", "--", "/bin/true").stdout
    assert "/run/package.sock" in told


@pytest.mark.parametrize("page", PAGES)
def test_a_man_page_is_readable(inside, page):
    section, name = re.match(r"man(.)/(.*)\.\d$", page).groups()
    said = inside("man", "--local-file", "--warnings", f"/usr/share/man/{page}.gz")
    assert f"{name}({section})" in said.stdout
    assert said.stderr == ""


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_valid(inside, unit):
    assert inside("systemd-analyze", "verify", "--man=no", unit.replace("@.", "@test.")).stderr == ""


def test_the_drop_in_names_the_program(inside):
    drop_in = inside("cat", "/usr/share/holdfast/php8.2-fpm-holdfast.conf").stdout
    assert set(re.findall(r"(?m)^Exec\w+=(\S+)", drop_in)) == {"/usr/bin/holdfast"}


def test_a_shell_finds_the_completions(inside):
    offered = inside("bash", "-c", "source /usr/share/bash-completion/completions/holdfast && complete -p holdfast")
    assert "_holdfast" in offered.stdout
    directories = inside("zsh", "-c", "print -l $fpath").stdout.split()
    assert "/usr/share/zsh/vendor-completions" in directories
