# SPDX-License-Identifier: MIT
"""The texts and exit codes of holdfast that the tests rely on, in one place."""

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_NOT_RUNNING = 3
EXIT_NOT_PERMITTED = 4


def ready(number):
    """It serves, whatever it was started for."""
    return rf"generation {number} is (ready|active)"


def gone(number):
    return rf"generation {number} is gone"


def crashed(number):
    return rf"generation {number} crashed: "


def start_failed(number):
    return rf"generation {number} failed to start: "


def reloaded(number):
    return rf"reload: generation {number} is active"


def healed(number):
    return rf"health: generation {number} is active"


def recycled(number):
    return rf"recycle: generation {number} is active"


SATURATED = r"generation 1 is saturated, which is no reason to replace it: "
HANGS = r"generation 1 hangs, no request has finished since the last probe: "
DAEMONIZE_STRIPPED = r"(?i)(-D|daemonize)"
