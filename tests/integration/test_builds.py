# SPDX-License-Identifier: MIT
"""It builds with other compilers, machines and libraries (docs/support.md). With HOLDFAST_TESTS=full (tests/run --full) all of it
is built and tested, with libraries from Debian; else what one compiler alone can say."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from harness.paths import HELPERS, HOLDFAST, ROOT, SOURCE
from harness.process import environment

pytestmark = pytest.mark.plain

FULL = os.environ.get("HOLDFAST_TESTS") == "full"
STRICT = ["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", '-DHF_VERSION="0"', "-iquote", SOURCE]
MULTIARCH = "/usr/include/x86_64-linux-gnu"
COMPILERS = {
    "gcc": ["gcc"],
    "clang": ["clang"],
    "32-bit": ["gcc", "-m32", "-D_FILE_OFFSET_BITS=64", "-idirafter", MULTIARCH],
    "musl": ["musl-gcc", "-static", "-idirafter", "/usr/include", "-idirafter", MULTIARCH],
    "aarch64": ["aarch64-linux-gnu-gcc", "-static"],
}
RUN_HERE = ["gcc", "clang", "32-bit", "musl"]
LIBRARIES = ["libsystemd-dev", "libsystemd0", "libcap-dev", "libcap2", "libacl1-dev", "libacl1"]
RUNTIME = ["libcmocka-dev", "libcmocka0", "libgcrypt20", "libgpg-error0", "liblz4-1", "liblzma5", "libzstd1"]
LIBSYSTEMD, GLIBC = 248, (2, 34)  # the oldest ones
# newer than that, and made by hand where they are missing (kernel/process.h)
GUARDED = {"pidfd_open", "pidfd_send_signal", "pidfd_getfd"}


def run(command, **more):
    result = subprocess.run(list(map(str, command)), env=environment(**more), capture_output=True, text=True, check=False)
    assert result.returncode == 0, (result.stdout + result.stderr)[-8000:]
    return result.stdout


def compiler(name):
    """Its words, if it can make a program."""
    words = COMPILERS[name]
    found = shutil.which(words[0]) and subprocess.run([*words, "-xc", "-o", "/dev/null", "-"], input="#include <stdio.h>\nint main(){}",
                                                      capture_output=True, text=True, check=False).returncode == 0
    if not found:
        pytest.skip(f"there is no {' '.join(words[:2])} that makes a program")
    return words


def sources(*rooms):
    return sorted(path for room in rooms for path in (SOURCE / room).rglob("*.c"))


@pytest.mark.parametrize("name", [*RUN_HERE, "aarch64"])
def test_pure_rooms(tmp_path, name):
    """base, format, config and policy, linked to nothing but libc, do what the build's own do."""
    words = [*compiler(name), *STRICT]
    generate, takeover = tmp_path / "generate", tmp_path / "takeover"
    run([*words, "-o", generate, *sources("base", "format", "config"), SOURCE / "completions/generate.c"])
    run([*words, "-o", takeover, *sources("base", "policy"), SOURCE / "parts/inherit/takeover_life.c", ROOT / "tests/model/takeover.c"])
    if name in RUN_HERE:
        template = (SOURCE / "completions/holdfast.bash.in").read_text()
        made = subprocess.run([generate], input=template, capture_output=True, text=True, check=True).stdout
        assert made == (HOLDFAST.parent / "completions/holdfast").read_text()
        assert "not ok" not in run([takeover])


@pytest.mark.parametrize("name", ["clang", "32-bit"])
def test_whole_source(name):
    run([*compiler(name), *STRICT, "-fsyntax-only", *sorted(SOURCE.rglob("*.c"))])


def test_without_libacl_and_pidfd_header(tmp_path):
    """glibc 2.34 and 2.35 have no <sys/pidfd.h>."""
    (tmp_path / "hide.h").write_text("#pragma GCC system_header\n#define __has_include(x) 0\n")
    run(["gcc", *STRICT, "-fsyntax-only", "-DHF_WITHOUT_ACL", SOURCE / "kernel/socket_path.c"])
    run(["gcc", *STRICT, "-fsyntax-only", "-include", tmp_path / "hide.h", *sources("kernel")])


def test_symbols_of_old_libraries():
    """It is linked to nothing that the oldest supported libraries lack."""
    too_new = []
    for line in run(["nm", "--dynamic", "--undefined-only", HOLDFAST]).splitlines():
        name, _, version = line.split()[-1].partition("@")
        library, _, number = version.strip("@").partition("_")
        if library == "LIBSYSTEMD" and int(number) > LIBSYSTEMD:
            too_new.append(line)
        if library == "GLIBC" and tuple(map(int, number.split("."))) > GLIBC and name not in GUARDED:
            too_new.append(line)
    assert not too_new


def configure(directory, *options, **more):
    run(["meson", "setup", directory, ROOT, "-Dwerror=true", *options], **more)


def test_fortified_from_outside(tmp_path):
    """As dpkg-buildflags and rpm do it: their value is used, and nothing is defined twice."""
    configure(tmp_path / "build", "-Dtests=false", "-Dman=disabled", CFLAGS="-O2 -D_FORTIFY_SOURCE=3", CPPFLAGS="-D_FORTIFY_SOURCE=3")
    commands = json.loads((tmp_path / "build/compile_commands.json").read_text())
    assert all("FORTIFY_SOURCE=2" not in entry["command"] and "-U" not in entry["command"].split() for entry in commands)
    run(["ninja", "-C", tmp_path / "build", "src/libbase.a"])


def test_nothing_optional(tmp_path):
    """No scdoc, no cmocka, no libacl: it configures, and says what is left out."""
    libraries = tmp_path / "pkgconfig"
    libraries.mkdir()
    found = run(["pkg-config", "--variable=pcfiledir", "libsystemd"]).strip(), run(["pkg-config", "--variable=pcfiledir", "libcap"]).strip()
    for place, name in zip(found, ("libsystemd", "libcap")):
        shutil.copy(pathlib.Path(place) / f"{name}.pc", libraries)
    native = tmp_path / "native.ini"
    # names: an absolute path would be believed; cmake finds cmocka, too
    native.write_text("[binaries]\nscdoc = 'scdoc-that-is-missing'\ncmake = 'cmake-that-is-missing'\n")
    configure(tmp_path / "build", "--native-file", native, "-Dacl=disabled", PKG_CONFIG_LIBDIR=libraries)
    made = (tmp_path / "build/build.ninja").read_text()
    assert "src/man/holdfast.1.scd:" in made and "src/man/holdfast.1:" not in made and "build tests/unit/" not in made
    if FULL:
        run(["ninja", "-C", tmp_path / "build"])
        assert "acl_" not in run(["nm", "-D", tmp_path / "build/src/holdfast"])


def unit_tests(build):
    run(["meson", "test", "-C", build, "--no-suite", "model", "--no-suite", "bench", "--timeout-multiplier", "10"])


@pytest.mark.full
@pytest.mark.parametrize("variables", [{"CC": "clang"}, {"CFLAGS": "-O2 -D_FORTIFY_SOURCE=3"}, {"CFLAGS": "-O3 -flto"}],
                         ids=["clang", "fortify-3", "lto"])
def test_built_and_tested(tmp_path, variables):
    configure(tmp_path / "build", **variables)
    run(["ninja", "-C", tmp_path / "build"])
    unit_tests(tmp_path / "build")


def sysroot(directory, suite, architecture, *packages):
    result = subprocess.run([HELPERS / "sysroot", directory, suite, architecture, *packages], capture_output=True, text=True,
                            check=False)
    if result.returncode != 0:
        pytest.skip(f"Debian's packages cannot be had: {result.stderr.strip()[-300:]}")
    return directory / "root"


CROSS = """[binaries]
c = {compiler}
ar = '{prefix}ar'
strip = '{prefix}strip'
pkgconfig = 'pkg-config'
[properties]
sys_root = '{root}'
pkg_config_libdir = '{root}/usr/lib/{triplet}/pkgconfig'
needs_exe_wrapper = {foreign}
[built-in options]
c_link_args = ['-Wl,--allow-shlib-undefined', '-Wl,--disable-new-dtags,-rpath,{root}/usr/lib/{triplet}:{root}/lib/{triplet}']
[host_machine]
system = 'linux'
cpu_family = '{family}'
cpu = '{family}'
endian = 'little'
"""


def cross(tmp_path, root, name, prefix, triplet, family, foreign):
    words = [word for word in compiler(name) if word != "-static"]
    file = tmp_path / "cross.ini"
    file.write_text(CROSS.format(compiler=words, prefix=prefix, root=root, triplet=triplet, family=family,
                                 foreign=str(foreign).lower()))
    configure(tmp_path / "build", "--cross-file", file, "-Dunit-tests=disabled" if foreign else "-Dunit-tests=enabled")
    run(["ninja", "-C", tmp_path / "build"])
    return tmp_path / "build"


@pytest.mark.full
def test_cross_built_for_aarch64(tmp_path):
    """Generated files are made by a program of this machine."""
    root = sysroot(tmp_path / "sysroot", "bookworm", "arm64", *LIBRARIES)
    build = cross(tmp_path, root, "aarch64", "aarch64-linux-gnu-", "aarch64-linux-gnu", "aarch64", True)
    assert "AArch64" in run(["readelf", "-h", build / "src/holdfast"])
    assert (build / "src/completions/holdfast").read_text() == (HOLDFAST.parent / "completions/holdfast").read_text()


@pytest.mark.full
def test_tested_with_32_bits(tmp_path):
    root = sysroot(tmp_path / "sysroot", "bookworm", "i386", *LIBRARIES, *RUNTIME)
    build = cross(tmp_path, root, "32-bit", "", "i386-linux-gnu", "x86", False)
    unit_tests(build)


# what glibc 2.32 to 2.34 added to Debian 11's 2.31, and nothing newer
SINCE_2_31 = """#pragma GCC system_header
#define SYS_close_range 436
#define SYS_pidfd_getfd 438
#define SYS_faccessat2 439
#define CLOSE_RANGE_CLOEXEC (1U << 2)
const char *sigabbrev_np(int), *strerrordesc_np(int), *strerrorname_np(int);
"""


@pytest.mark.full
@pytest.mark.parametrize("suite", ["trixie", "bullseye"])
def test_headers_of_another_debian(tmp_path, suite):
    """Debian 13: systemd 257, glibc 2.41. Debian 11: glibc 2.31 made into 2.34, with the systemd of this one."""
    root = sysroot(tmp_path / "sysroot", suite, "amd64", "libc6-dev", "linux-libc-dev", "libcap-dev", "libacl1-dev",
                   *(["libsystemd-dev"] if suite == "trixie" else []))
    builtin = run(["gcc", "-print-file-name=include"]).strip()
    more = []
    if suite == "bullseye":
        shutil.copytree("/usr/include/systemd", root / "usr/include/systemd")
        (tmp_path / "since.h").write_text(SINCE_2_31)
        more = ["-include", tmp_path / "since.h"]
    run(["gcc", *more, "-nostdinc", "-isystem", builtin, "-isystem", root / "usr/include", "-isystem",
         root / "usr/include/x86_64-linux-gnu", *STRICT, "-fsyntax-only", *sorted(SOURCE.rglob("*.c"))])
