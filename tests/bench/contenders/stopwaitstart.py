# SPDX-License-Identifier: MIT
"""The script that waits: the old one is gone before the next one is started."""
import signal

import notifications
from contenders.contender import Contender


class StopWaitStart(Contender):
    name = "stop, wait, start"
    note = "QUIT, and php-fpm started again when the old one has ended, and the port with it"

    def start(self):
        self.server = self.site.plain()
        self.server.start()

    def replace(self):
        notifications.discard(self.site)
        self.server.stop(signal.SIGQUIT)
        self.server.start()

    def stop(self):
        self.server.stop(signal.SIGQUIT)
