#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Prints lines and branches of each layer from gcovr's JSON, and each branch that was never taken of what has to be whole.

    coverage.py FILE    fails when there is such a branch
"""
import json
import pathlib
import sys

LAYERS = ("base", "format", "policy", "config", "service", "kernel", "loop", "run", "parts", "cli")
# Unit tests take each of their branches.
WHOLE = ("format/", "policy/", "config/option", "config/settings", "config/names", "service/handoff",
         "service/php_fpm/", "parts/survive/snapshot", "parts/fallback/hold", "parts/inherit/takeover_life",
         "parts/privileges/capability_needs")
# what the integration tests take
APART = ("service/php_fpm/pools",)


def lines_of(report, layer):
    """[(path, line)] of what gcovr takes for code."""
    return [(file["file"], line) for file in report["files"] if file["file"].startswith(f"src/{layer}/")
            for line in file["lines"] if not line["gcovr/noncode"]]


def branches_of(lines):
    """[(path, line number, taken)] of each branch."""
    return [(path, line["line_number"], branch["count"] > 0) for path, line in lines for branch in line["branches"]]


def share(part, whole):
    # never rounded up to 100 %
    return f"{part:>6}/{whole:<5} {int(1000 * part / whole) / 10 if whole else 0:5.1f} %"


def main():
    report = json.loads(pathlib.Path(sys.argv[1]).read_text())
    print(f"{'layer':<8}{'lines':>20}{'branches':>21}")
    for layer in LAYERS:
        lines = lines_of(report, layer)
        branches = branches_of(lines)
        print(f"{layer:<8}{share(sum(line['count'] > 0 for _, line in lines), len(lines)):>20}"
              f"{share(sum(taken for *_, taken in branches), len(branches)):>21}")
    empty = [layer for layer in LAYERS if not lines_of(report, layer)]
    if empty:
        print("nothing was counted in", ", ".join(empty))
    whole = [branch for branch in branches_of([line for layer in LAYERS for line in lines_of(report, layer)])
             if branch[0].removeprefix("src/").startswith(WHOLE) and not branch[0].removeprefix("src/").startswith(APART)]
    for path, number in sorted({(path, number) for path, number, taken in whole if not taken}):
        print(f"never taken: {path}:{number}: {pathlib.Path(path).read_text().splitlines()[number - 1].strip()}")
    return 0 if whole and not empty and all(taken for *_, taken in whole) else 1


sys.exit(main())
