# SPDX-License-Identifier: MIT
"""php-fpm's own reload."""
import signal

import notifications
from contenders.contender import Contender


class Usr2(Contender):
    name = "php-fpm USR2"
    note = "its default, process_control_timeout unset"

    def start(self):
        self.server = self.site.plain()
        self.server.start()

    def replace(self):
        notifications.discard(self.site)
        self.server.process.send(signal.SIGUSR2)
        self.site.notify.wait("READY=1", self.server.process.ended)

    def stop(self):
        self.server.stop(signal.SIGQUIT)


class Usr2Drain(Usr2):
    name = "php-fpm USR2, drain"
    note = "process_control_timeout = 30s: requests under way finish, and the others wait for them"

    def start(self):
        self.site.configure(process_control_timeout="30s")
        super().start()
