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


DAEMONIZE_STRIPPED = r"(?i)(-D|daemonize)"
