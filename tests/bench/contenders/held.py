# SPDX-License-Identifier: MIT
"""php-fpm behind holdfast, replaced by its commands, or by a crash."""
import os
import signal

import notifications
from contenders.contender import Contender
from harness import process


class Held(Contender):
    verb = ""

    def options(self):
        return []

    def start(self):
        self.holdfast = self.site.holdfast(*self.options())

    def replace(self):
        notifications.discard(self.site)
        result = self.holdfast.call(self.verb)
        if result.returncode:
            raise AssertionError(f"holdfast {self.verb}: {result.stderr}\n{self.holdfast.lines.text()}")

    def stop(self):
        self.holdfast.stop()


class Reload(Held):
    name = "holdfast reload"
    verb = "reload"


class Restart(Held):
    name = "holdfast restart"
    note = "lets requests under way finish before the next php-fpm is started; the others wait meanwhile"
    verb = "restart"


class ReloadPages(Reload):
    name = "holdfast reload, list of pages"
    note = "--warm=auto --warm=file:LIST"
    needs = ["--warm", "--document-root"]

    def options(self):
        pages = self.site.directory / "pages"
        pages.write_text("".join(f"{page}\n" for page in self.site.pages))
        return ["--warm=auto", f"--warm=file:{pages}", f"--document-root={self.site.root}"]


class ReloadCold(Reload):
    name = "holdfast reload, no warm-up"
    note = "--warm=none"
    needs = ["--warm"]

    def options(self):
        return ["--warm=none"]


class ReloadGentle(Reload):
    name = "holdfast reload, one side"
    note = "--handover=gentle: both generations accept for a while"

    def options(self):
        return ["--handover=gentle"]


class Killed(Held):
    name = "holdfast, kill -9 of the master"

    def replace(self):
        notifications.discard(self.site)
        before = self.holdfast.mark()
        for pid in process.children(self.holdfast.pid):
            if process.command_line(pid).startswith("php-fpm: master process"):
                os.kill(pid, signal.SIGKILL)
        self.holdfast.wait(r"generation \d+ is (ready|active)", since=before)
