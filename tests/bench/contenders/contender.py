# SPDX-License-Identifier: MIT
"""One way to replace php-fpm."""


class Contender:
    """name: its row in the table; note: what a reader must know about the row; replaces: whether replace()
    is called at all; programs: {what it needs: Debian's package of it}; needs: options of holdfast, without which it
    is left out."""

    name = ""
    note = ""
    replaces = True
    programs = {}
    needs = []

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
