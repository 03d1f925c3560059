# SPDX-License-Identifier: MIT
"""start_server (libserver-starter-perl), the launcher of the Perl world that holds sockets, with php-fpm in a wrapper."""
import pathlib
import signal
import subprocess

import notifications
from contenders.contender import Contender
from harness.lines import Lines
from harness.process import Process, environment

WRAPPER = pathlib.Path(__file__).with_name("start-php-fpm")
ASKED_TO_LEAVE = "killing old workers"


class StartServer(Contender):
    name = "start_server"
    note = ("--signal-on-hup=QUIT, process_control_timeout = 30s; takes the next one for ready after --interval, 1 s, "
            "and one replacement is until the old one is asked to leave; on a unix socket the old php-fpm removes the path")
    programs = {"start_server": "libserver-starter-perl"}

    def start(self):
        self.site.configure(process_control_timeout="30s")
        address = self.site.address
        listen = f"--path={address}" if address.startswith("/") else f"--port={address}"
        self.process = Process(
            ["start_server", listen, "--signal-on-hup=QUIT", "--signal-on-term=QUIT", "--", WRAPPER,
             self.site.configuration_path],
            env=environment(NOTIFY_SOCKET=str(self.site.notify.path)), stderr=subprocess.PIPE)
        self.site.at_close(lambda: self.process.stop(signal.SIGTERM))
        self.lines = Lines(self.process.popen.stderr)
        self.site.notify.wait("READY=1", self.process.ended)

    def replace(self):
        notifications.discard(self.site)
        before = len(self.lines.list)
        self.process.send(signal.SIGHUP)
        self.site.notify.wait("READY=1", self.process.ended)
        self.lines.wait(ASKED_TO_LEAVE, since=before)

    def stop(self):
        self.process.stop(signal.SIGTERM)
