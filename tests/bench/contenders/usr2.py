"""php-fpm's own reload, with its defaults: process_control_timeout is unset."""
import signal

from contenders.contender import Contender


class Usr2(Contender):
    name = "php-fpm USR2"

    def start(self):
        self.server = self.site.plain()
        self.server.start()

    def replace(self):
        self.forget_notifications()
        self.server.process.send(signal.SIGUSR2)
        self.site.notify.wait("READY=1", self.server.process.ended)

    def stop(self):
        self.server.stop(signal.SIGQUIT)
