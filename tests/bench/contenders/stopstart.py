# SPDX-License-Identifier: MIT
"""The old script: ask the old one to stop, start the next one at once, again until that works."""
import signal
import time

import notifications
from contenders.contender import Contender
from harness.wait import DEADLINE


class StopStart(Contender):
    name = "stop, start"
    note = "QUIT, and php-fpm started again and again until the port is free"

    def start(self):
        self.server = self.site.plain()
        self.server.start()

    def replace(self):
        notifications.discard(self.site)
        old = self.server.process
        old.send(signal.SIGQUIT)
        end = time.monotonic() + DEADLINE
        try:
            while not self.try_start():
                if time.monotonic() > end:
                    raise AssertionError(f"php-fpm does not start:\n{self.server.lines.text()}")
        finally:
            old.wait()

    def try_start(self):
        try:
            self.server.start()
        except AssertionError:
            if self.server.process.running():
                raise
            self.server.process.wait()
            self.server.lines.join()
            return False
        return True

    def stop(self):
        self.server.stop(signal.SIGQUIT)
