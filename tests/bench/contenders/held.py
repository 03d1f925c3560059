"""php-fpm behind holdfast, replaced by its commands."""
import notifications
from contenders.contender import Contender


class Held(Contender):
    verb = ""

    def start(self):
        self.holdfast = self.site.holdfast()

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
