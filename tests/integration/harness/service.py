# SPDX-License-Identifier: MIT
"""A service that misbehaves behind one held socket."""
import json
import os

from harness import fastcgi, net
from harness.holdfast import Holdfast
from harness.paths import HELPERS, PYTHON


class Service:
    """misbehave.py behind one held socket. behave() sets what the next start will do."""

    def __init__(self, site):
        site.pools[:] = []
        self.site = site
        self.address = f"127.0.0.1:{net.free_port()}"
        self.arguments = site.directory / "behaviour"
        self.fifo = str(site.directory / "trigger")
        os.mkfifo(self.fifo)
        # Open for both: neither end ever waits for the other.
        self.trigger_fd = os.open(self.fifo, os.O_RDWR | os.O_CLOEXEC)
        self.command = [PYTHON, HELPERS / "misbehave.py", f"@{self.arguments}"]
        self.holdfast = None

    def behave(self, *words_of_behaviour):
        temporary = self.arguments.with_suffix(".new")
        temporary.write_text("".join(f"{word}\n" for word in words_of_behaviour))
        temporary.rename(self.arguments)

    def launch(self, *options, ready="notify", **more):
        """Without waiting for anything."""
        options = [f"--listen={self.address}", f"--ready={ready}", *options]
        self.holdfast = Holdfast(self.site, options, self.command, **more)
        self.holdfast.launch()
        return self.holdfast

    def start(self, *options, behaviour=("serve",), **more):
        self.behave(*behaviour)
        self.launch(*options, **more)
        self.site.notify.wait("READY=1", self.holdfast.process.ended)
        return self.holdfast

    def trigger(self):
        os.write(self.trigger_fd, b"x")

    def connect(self):
        return fastcgi.connect(self.address)

    def ask(self):
        """Pid of the process that answers."""
        with self.connect() as connection:
            return answer(connection)

    def close(self):
        try:
            if self.holdfast:
                self.holdfast.close()
        finally:
            if self.trigger_fd >= 0:
                os.close(self.trigger_fd)
            self.trigger_fd = -1


def answer(connection):
    with connection.makefile() as stream:
        return json.loads(stream.read())["pid"]
