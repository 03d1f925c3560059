# SPDX-License-Identifier: MIT
"""What a release makes: a tarball, and packages of it: what is in them, what lintian says, that they are the same wherever they
are built, and that holdfast works from where it is installed."""
import hashlib
import re
import subprocess

import pytest
import yaml

from harness import package as releases
from harness import worker
from harness.paths import ROOT
from harness.process import environment

pytestmark = pytest.mark.plain

UNITS = ["holdfast-exec@.service", "holdfast-exec@.socket", "holdfast-recycle@.service", "holdfast-recycle@.timer",
         "holdfast-site@.service", "holdfast-sweep@.service", "holdfast@.service", "holdfast@.socket",
         "holdfast-metrics.socket", "holdfast-metrics@.service", "holdfast-textfile.service", "holdfast-textfile.timer"]
PAGES = ["man1/holdfast.1", "man5/holdfast.conf.5", "man7/holdfast-control.7"]
FILES = {
    "/usr/bin/holdfast",
    *(f"/usr/share/holdfast/php{version}-fpm-holdfast.conf" for version in ("7.4", "8.0", "8.1", "8.2", "8.3", "8.4", "8.5")),
    "/usr/share/lintian/overrides/holdfast",
    "/usr/share/bash-completion/completions/holdfast", "/usr/share/zsh/vendor-completions/_holdfast",
    *(f"/lib/systemd/system/{unit}" for unit in UNITS), "/usr/lib/systemd/user/holdfast@.service", *(f"/usr/share/man/{page}.gz" for page in PAGES),
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
    cp -r above/lib above/usr
    rm -r above/lib
    mount -t overlay -o lowerdir=/,upperdir=above,workdir=work overlay root
    for kernel in proc dev sys; do
        mount --rbind "/$kernel" "root/$kernel"
    done
    exec chroot root "$@"
"""
# The same for what installs packages itself, with a network of its own and nowhere to fetch anything from.
INSTALLING = """
    directory=$1 package=$2 tree=$3
    mount -t tmpfs tmpfs "$directory"
    mkdir "$directory/above" "$directory/work" "$directory/root"
    cd "$directory"
    mount -t overlay -o lowerdir=/,upperdir=above,workdir=work overlay root
    for kernel in proc dev sys; do
        mount --rbind "/$kernel" "root/$kernel"
    done
    for own in tmp run; do
        mount -t tmpfs -o mode=1777 tmpfs "root/$own"
    done
    mkdir root/tmp/tree
    cp -r "$tree/debian" root/tmp/tree
    cp "$package" root/tmp
    find root/etc/apt \\( -name '*.list' -o -name '*.sources' \\) -delete
    ip link set lo up
    exec chroot root autopkgtest --no-built-binaries "/tmp/${package##*/}" /tmp/tree -- null
"""


def run(*words, check=True):
    result = subprocess.run([str(word) for word in words], env=environment(), stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, check=False)
    assert not check or result.returncode == 0, result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A directory that all workers share."""
    own = tmp_path_factory.getbasetemp()
    return own if worker.number() is None else own.parent


@pytest.fixture(scope="module")
def release(base):
    return releases.release(base / "release")


@pytest.fixture(scope="module")
def package(release):
    return release.package


@pytest.fixture(scope="module")
def inside(package, tmp_path_factory):
    """Runs a command where the package is installed."""
    directory = tmp_path_factory.mktemp("inside")
    return lambda *words: run("unshare", "--mount", "--propagation=private", "sh", "-ec", INSIDE, "sh", directory, package,
                              *words)


@pytest.mark.long(60)
def test_lintian_has_nothing_to_say(package):
    changes, = package.parent.glob("*.changes")
    said = run("lintian", "--allow-root", "--fail-on=error,warning", changes)
    assert said.stdout == ""


def test_the_unit_tests_ran_as_it_was_built(release):
    assert re.search(r"(?m)^Ok: +[5-9]\d *$", release.log) and re.search(r"(?m)^Fail: +0 *$", release.log)


def test_the_tarball_has_what_the_repository_has(release):
    listed = run("git", "-C", release.repository, "ls-tree", "-r", "--name-only", "main").stdout.split()
    packed = run("tar", "--list", "--file", release.tarball).stdout.split()
    top = f"holdfast-{releases.version()}/"
    assert {path.removeprefix(top) for path in packed if not path.endswith("/")} == set(listed)


def test_the_branch_for_debian_follows(release, tmp_path):
    """Again without a change nothing is committed, and after one both have it."""
    def git(*words):
        return releases.run("git", "-C", tmp_path, *words, **releases.IDENTITY).strip()

    releases.run("git", "clone", "--quiet", "--branch=main", release.repository, tmp_path)
    tip = git("rev-parse", "origin/debian")
    git("branch", "debian", tip)
    releases.run(tmp_path / "units/debian/branch", **releases.IDENTITY)
    assert git("rev-parse", "debian") == tip
    (tmp_path / "units/debian/docs").write_text("README.md\n")
    git("commit", "--all", "--message=A change")
    releases.run(tmp_path / "units/debian/branch", **releases.IDENTITY)
    assert git("rev-parse", "debian:debian") == git("rev-parse", "main:units/debian")
    assert git("diff", "--name-only", "main", "debian", "--", ".", ":!debian") == ""
    assert git("rev-parse", "debian^1", "debian^2").split() == [tip, git("rev-parse", "main")]


def test_two_builds_are_the_same_bit_for_bit(release, base):
    """In another directory, by another command, of the tree as it lies here, and without the unit tests."""
    again = releases.build(base / "again")
    assert again.parent != release.package.parent
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(release.package.read_bytes()).digest()


def test_the_packages_own_test(release, tmp_path):
    """By autopkgtest, which installs the package."""
    said = run("unshare", "--mount", "--net", "--propagation=private", "sh", "-ec", INSTALLING, "sh", tmp_path, release.package,
               release.repository)
    assert re.search(r"(?m)^reload +PASS$", said.stdout)


def test_an_rpm_is_built_of_the_tarball(release, tmp_path):
    """As far as that goes without a system of that kind: --nodeps, and little optimisation for the sake of time."""
    run("rpmbuild", "-tb", "--nodeps", "--without", "check", f"--define=_topdir {tmp_path}", "--define=optflags -O0",
        "--define=debug_package %{nil}", release.tarball)
    rpm, = tmp_path.glob("RPMS/*/holdfast-*.rpm")
    assert run("rpm", "--query", "--queryformat=%{VERSION}", "--package", rpm).stdout == releases.version()
    files = set(run("rpm", "--query", "--list", "--package", rpm).stdout.split())
    assert {"/usr/bin/holdfast", "/usr/lib/systemd/user/holdfast@.service", "/usr/share/zsh/site-functions/_holdfast",
            *(f"/usr/lib/systemd/system/{unit}" for unit in UNITS)} <= files
    assert {f"/usr/share/man/{page}" for page in PAGES} <= {path.removesuffix(".gz") for path in files}


def test_one_version_and_one_home_everywhere():
    version = releases.version()
    texts = {name: (ROOT / name).read_text() for name in (
        "NEWS.md", "units/debian/changelog", "units/rpm/holdfast.spec", "units/debian/control", "units/debian/watch")}
    assert re.search(r"(?m)^## (\S+)", texts["NEWS.md"]).group(1) == version
    assert re.match(r"holdfast \((\S+)-1\) ", texts["units/debian/changelog"]).group(1) == version
    assert re.findall(r"(?m)^Version: +(\S+)$", texts["units/rpm/holdfast.spec"]) == [version]
    assert re.findall(r"(?m)^%changelog\n\* .* (\S+)-1$", texts["units/rpm/holdfast.spec"]) == [version]
    hosts = set(re.findall(r"https://([^/ ]+)", "".join(texts[name] for name in texts if name.startswith("units"))))
    assert len(hosts) == 1


def test_the_forge_runs_the_whole_check():
    job, = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text())["jobs"].values()
    assert [step["run"].split()[-1] for step in job["steps"] if "run" in step][-1] == ".ci/run"
    assert "bookworm" in job["container"]["image"]


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
    assert fields["Version"].rpartition("-")[0] == releases.version()
    assert fields["Homepage"].startswith("https://")
    needed = {word.split()[0] for word in fields["Depends"].split(", ")}
    assert needed == {"libacl1", "libc6", "libcap2", "libsystemd0"}
    asked = re.search(r"dependency\('libsystemd', version: '>=(\d+)'\)", (ROOT / "meson.build").read_text()).group(1)
    assert f"libsystemd0 (>= {asked})" in fields["Depends"]


def test_the_program_is_hardened(inside):
    assert "Position-Independent Executable" in inside("readelf", "--file-header", "/usr/bin/holdfast").stdout
    assert "BIND_NOW" in inside("readelf", "--dynamic", "/usr/bin/holdfast").stdout
    symbols = inside("readelf", "--dyn-syms", "--wide", "/usr/bin/holdfast").stdout
    assert "__stack_chk_fail@" in symbols and re.search(r"__\w+_chk@", symbols.replace("__stack_chk_fail", ""))


def test_the_program_runs(inside):
    assert inside("holdfast", "--version").stdout == f"holdfast {releases.version()}\n"
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
