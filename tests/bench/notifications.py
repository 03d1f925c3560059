# SPDX-License-Identifier: MIT
"""The supervisor's end of the notify socket, between two waits of the harness."""
import select


def discard(site):
    """php-fpm repeats READY=1 every 10 s: an old one must not be taken for the next one's."""
    messages = site.notify.socket
    while select.select([messages], [], [], 0)[0]:
        messages.recv(65536)
