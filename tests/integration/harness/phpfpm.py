# SPDX-License-Identifier: MIT
"""php-fpm's configuration, and php-fpm itself without holdfast."""
import dataclasses
import signal
import subprocess

from harness.lines import Lines
from harness.paths import PHP_FPM
from harness.process import Process, environment
from harness.wait import NotifySocket


@dataclasses.dataclass
class Pool:
    """One pool. options: further lines, {"listen.mode": "0600"}; None leaves a default out."""

    listen: str
    name: str = "www"
    children: int = 16
    user: str = "www-data"
    options: dict = dataclasses.field(default_factory=dict)

    def text(self):
        lines = {
            "user": self.user,
            "group": self.user,
            "listen": self.listen,
            "listen.owner": self.user if self.listen.startswith("/") else None,
            "listen.group": self.user if self.listen.startswith("/") else None,
            "pm": "static",
            "pm.max_children": self.children,
            **self.options,
        }
        return f"[{self.name}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None)


def configuration(pools, **options):
    """Text of a php-fpm.conf; options: of [global], None leaves one out."""
    lines = "".join(f"{key} = {value}\n" for key, value in options.items() if value is not None)
    return f"[global]\n{lines}" + "".join(pool.text() for pool in pools)


class PlainPhpFpm:
    """php-fpm as it is used without holdfast."""

    def __init__(self, site):
        self.site = site
        self.process = None
        self.lines = None

    def launch(self):
        """Starts it without waiting for anything."""
        self.process = Process([PHP_FPM, "-F", "-y", self.site.configuration_path],
                               env=environment(NOTIFY_SOCKET=str(self.site.notify.path)), stderr=subprocess.PIPE)
        self.lines = Lines(self.process.popen.stderr)

    def start(self):
        self.launch()
        self.site.notify.wait("READY=1", self.process.ended)

    def stop(self, number=signal.SIGTERM):
        self.process.stop(number)

    def close(self):
        if self.process and self.process.running():
            self.stop()
