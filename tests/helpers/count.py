#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Adds up test suites from their JUnit files and prints the closing line.

    count.py STATUS:FILE...      STATUS: the exit status of the suite that wrote FILE

A suite that failed without a failed test, or left no file, counts as one failure.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as tree


# what a test wrote for a terminal, and XML has not; meson writes it as it is
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def count(path):
    passed = failed = skipped = 0
    text = CONTROL.sub(b"?", pathlib.Path(path).read_bytes())
    for case in tree.fromstring(text).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main():
    total = [0, 0, 0]
    for word in sys.argv[1:]:
        status, _, path = word.partition(":")
        try:
            result = list(count(path))
        except (OSError, tree.ParseError) as problem:
            print(f"{path}: no result: {problem}", file=sys.stderr)
            result = [0, 1, 0]
        if status != "0" and not result[1]:
            print(f"{path}: its suite ended with status {status}", file=sys.stderr)
            result[1] = 1
        total = [sum(pair) for pair in zip(total, result)]
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
