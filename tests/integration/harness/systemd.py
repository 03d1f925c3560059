# SPDX-License-Identifier: MIT
"""Units of a real systemd, from within a machine that it has booted."""
import pathlib
import subprocess

from harness.process import environment
from harness.wait import DEADLINE

SYSTEM = pathlib.Path("/etc/systemd/system")


def systemctl(*words, check=True):
    result = subprocess.run(["systemctl", *words], env=environment(), stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=DEADLINE, check=False)
    assert not check or result.returncode == 0, f"systemctl {' '.join(words)}: {result.stderr}\n{journal(words[-1])}"
    return result


def journal(unit):
    """The last lines of a unit's log, and of any holdfast: of a process that ends soon journald may not learn the unit."""
    subprocess.run(["journalctl", "--sync"], env=environment(), check=True, timeout=DEADLINE)
    return subprocess.run(["journalctl", "--no-pager", "--output=cat", "--lines=60", f"_SYSTEMD_UNIT={unit}", "+",
                           f"UNIT={unit}", "+", "SYSLOG_IDENTIFIER=holdfast"],
                          env=environment(), capture_output=True, text=True, timeout=DEADLINE, check=False).stdout


def following(*matches):
    """The command that prints what is logged from here on, also when journald is late with what came before and journalctl
    with its start."""
    subprocess.run(["journalctl", "--sync"], env=environment(), check=True, timeout=DEADLINE)
    last = subprocess.run(["journalctl", "--lines=1", "--show-cursor", "--output=cat"], env=environment(), check=True,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE).stdout
    cursor = last.rpartition("-- cursor: ")[2].strip()
    return ["journalctl", "--follow", "--no-tail", f"--after-cursor={cursor}", "--output=cat", *matches]


class Unit:
    def __init__(self, name):
        self.name = name

    def start(self):
        systemctl("start", self.name)

    def stop(self):
        systemctl("stop", self.name)

    def reload(self):
        systemctl("reload", self.name)

    def restart(self):
        systemctl("restart", self.name)

    def get(self, key):
        return systemctl("show", f"--property={key}", "--value", self.name).stdout.strip()

    def main_pid(self):
        return int(self.get("MainPID"))

    def journal(self):
        return journal(self.name)


class Units:
    def __init__(self):
        self.files = []
        self.started = []

    def write(self, path, text):
        """A unit, or a drop-in as NAME.d/FILE.conf."""
        file = SYSTEM / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        self.files.append(file)
        systemctl("daemon-reload")

    def drop_in(self, name, text):
        self.write(f"{name}.d/test.conf", text)

    def get(self, name):
        """Stopped at the end of the test."""
        unit = Unit(name)
        self.started.append(unit)
        return unit

    def close(self):
        """May be called again."""
        for unit in reversed(self.started):
            systemctl("stop", unit.name, check=False)
            systemctl("reset-failed", unit.name, check=False)
        for file in self.files:
            file.unlink()
            if file.parent != SYSTEM and not any(file.parent.iterdir()):
                file.parent.rmdir()
        self.files, self.started = [], []
        systemctl("daemon-reload")
