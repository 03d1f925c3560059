# SPDX-License-Identifier: MIT
"""Debian's own php8.2-fpm.service, unchanged, under a real systemd that runs in a container."""
import pathlib
import re
import signal
import subprocess

from contenders.contender import Contender
from harness.process import Process, environment

BOOT = pathlib.Path(__file__).with_name("boot-systemd")
UNIT = "php8.2-fpm.service"


class Systemd(Contender):
    verb = ""
    programs = {"systemd-nspawn": "systemd-container"}

    def start(self):
        log = self.site.directory / "machine.log"
        with open(log, "wb") as output:
            self.machine = Process(
                ["unshare", "--mount", "--propagation=private", BOOT, self.site.directory, self.site.configuration_path],
                env=environment(NOTIFY_SOCKET=str(self.site.notify.path)), stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT)
        self.site.at_close(lambda: self.machine.stop(signal.SIGKILL))
        self.site.notify.wait("READY=1", self.machine.ended)
        self.leader = re.search(r"X_NSPAWN_LEADER_PID=(\d+)", "\n".join(self.site.notify.messages)).group(1)
        self.systemctl("is-active", UNIT)

    def systemctl(self, *words):
        result = subprocess.run(["nsenter", "--target", self.leader, "--all", "systemctl", *words], env=environment(),
                                capture_output=True, text=True, check=False)
        if result.returncode:
            raise AssertionError(f"systemctl {' '.join(words)}: {result.stdout}{result.stderr}")

    def replace(self):
        self.systemctl(self.verb, UNIT)

    def stop(self):
        self.systemctl("stop", UNIT)
        self.machine.stop(signal.SIGTERM)


class SystemdReload(Systemd):
    name = "systemctl reload"
    note = "Debian's php8.2-fpm.service, which sends USR2, process_control_timeout unset"
    verb = "reload"


class SystemdRestart(Systemd):
    name = "systemctl restart"
    note = "the same unit: TERM, which ends requests under way, and php-fpm started again when the old one has ended"
    verb = "restart"
