# SPDX-License-Identifier: MIT
"""php-fpm that nobody restarts: what the load looks like when nothing happens."""
import signal

from contenders.contender import Contender


class Floor(Contender):
    name = "no restarts"
    replaces = False

    def start(self):
        self.server = self.site.plain()
        self.server.start()

    def stop(self):
        self.server.stop(signal.SIGQUIT)
