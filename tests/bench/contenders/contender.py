"""One way to replace php-fpm."""
import select


class Contender:
    """name: its row in the table; replaces: whether replace() is called at all."""

    name = ""
    replaces = True

    def __init__(self, site):
        self.site = site

    def start(self):
        """Serves when it returns."""
        raise NotImplementedError

    def replace(self):
        """Replaces the service once; the new one serves when it returns."""
        raise NotImplementedError

    def stop(self):
        """Ends it with its ordinary stop. The site ends what is left after a failure."""
        raise NotImplementedError

    def forget_notifications(self):
        """php-fpm repeats READY=1 every 10 s: an old one must not be taken for the next one's."""
        messages = self.site.notify.socket
        while select.select([messages], [], [], 0)[0]:
            messages.recv(65536)
