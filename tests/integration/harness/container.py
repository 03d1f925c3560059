# SPDX-License-Identifier: MIT
"""holdfast as the first process of a container: runc, with a root of this machine's own packages."""
import json
import os
import pty
import signal
import subprocess
import uuid

from harness.lines import Lines
from harness.paths import HELPERS, HOLDFAST
from harness.process import Process, environment
from harness.wait import DEADLINE

LINKS = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"]
# Docker's own
CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
                "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
                "CAP_SETUID", "CAP_SYS_CHROOT"]


def bind(source, *options, to=None):
    return {"destination": str(to or source), "source": str(source), "type": "bind", "options": ["rbind", *options]}


def tmpfs(path):
    return {"destination": path, "source": "tmpfs", "type": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]}


class Container:
    """It shares the network of the test, and the site's directory."""

    def __init__(self, site, command, *, uid=0, gid=0, groups=(), writable=("/run", "/tmp"), site_writable=True,
                 read_only=True, terminal=False, env=None, capabilities=None, mounts=()):
        """writable: where a tmpfs is mounted; mounts: what else, by bind()."""
        self.id = f"holdfast-{uuid.uuid4().hex[:12]}"
        self.bundle = site.directory / self.id
        self.state = site.directory / f"{self.id}.runc"
        self.process = self.lines = None
        root = self.bundle / "root"
        root.mkdir(parents=True)
        for link in LINKS:
            if os.path.islink(f"/{link}"):
                (root / link).symlink_to(os.readlink(f"/{link}"))
        granted = CAPABILITIES if capabilities is None else capabilities
        sets = ("bounding", "permitted", "effective") if uid == 0 else ("bounding",)
        configuration = {
            "ociVersion": "1.0.2",
            "root": {"path": "root", "readonly": read_only},
            "process": {
                "terminal": terminal,
                "user": {"uid": uid, "gid": gid, "additionalGids": list(groups)},
                "args": [str(word) for word in command],
                "env": [f"{name}={value}" for name, value in environment(**(env or {})).items()],
                "cwd": "/",
                "capabilities": {name: granted for name in sets},
                "noNewPrivileges": True,
            },
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                 "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
                bind("/usr", "ro"), bind("/etc", "ro"), *[tmpfs(path) for path in writable],
                # what is below another mount comes after it, as the tests may be below /tmp
                *sorted([bind(HOLDFAST.parent, "ro"), bind(HELPERS, "ro"),
                         bind(site.directory, "rw" if site_writable else "ro"), *mounts],
                        key=lambda mount: mount["destination"].count("/")),
            ],
            "linux": {
                "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
                "cgroupsPath": f"/{self.id}",
            },
        }
        (self.bundle / "config.json").write_text(json.dumps(configuration))

    def runc(self, *words, check=True):
        result = subprocess.run(["runc", "--root", self.state, *map(str, words)], env=environment(), text=True,
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE, check=False)
        assert not check or result.returncode == 0, result.stderr
        return result

    def launch(self):
        """Starts it; what it prints, at a terminal too, comes in lines."""
        command = ["runc", "--root", self.state, "run", "--bundle", self.bundle, self.id]
        terminal = json.loads((self.bundle / "config.json").read_text())["process"]["terminal"]
        if terminal:
            ours, theirs = pty.openpty()
            self.process = Process(command, env=environment(TERM="xterm"), stdin=theirs, stdout=theirs, stderr=theirs)
            os.close(theirs)
            self.lines = Lines(Terminal(ours))
        else:
            self.process = Process(command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
            self.lines = Lines(self.process.popen.stdout)

    def start(self, pattern=r"generation 1 is ready"):
        self.launch()
        self.lines.wait(pattern)
        return self

    def wait(self, pattern, since=0):
        return self.lines.wait(pattern, since)

    def pid(self):
        """Of its first process, outside."""
        return json.loads(self.runc("state", self.id).stdout)["pid"]

    def execute(self, *words):
        """A command inside it."""
        return self.runc("exec", self.id, *words, check=False)

    def kill(self, number):
        self.runc("kill", self.id, int(number))

    def status(self):
        """Its exit status, as the runtime tells it."""
        status = self.process.wait()
        self.lines.join()
        return status

    def stop(self, number=signal.SIGTERM):
        self.kill(number)
        return self.status()

    def close(self):
        if self.process and self.process.running():
            self.runc("delete", "--force", self.id)
            self.process.wait()


class Terminal:
    """Our side of a terminal as a stream of lines, which ends when nobody has the other side any more."""

    def __init__(self, fd):
        self._stream = os.fdopen(fd, "rb")

    def __iter__(self):
        try:
            yield from self._stream
        except OSError:  # EIO
            pass

    def close(self):
        self._stream.close()
