# SPDX-License-Identifier: MIT
"""Who was answered by which version, and who got an old one too late."""


def went_back(asked):
    """asked: [(when it began, when it ended, version)]. Requests that began after the first answer of a newer version,
    and got an older one: [(when it began, version)]."""
    first = {}
    for _, ended, version in sorted(asked, key=lambda one: one[1]):
        first.setdefault(version, ended)
    newer, earliest = {}, float("inf")
    for version, ended in reversed(first.items()):
        newer[version] = earliest
        earliest = min(earliest, ended)
    return [(began, version) for began, _, version in asked if began > newer[version]]
