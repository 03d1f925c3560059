"""php-fpm behind holdfast, replaced by its commands."""
from contenders.contender import Contender


class Held(Contender):
    verb = ""

    def start(self):
        self.holdfast = self.site.holdfast()

    def replace(self):
        self.forget_notifications()
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
    verb = "restart"
