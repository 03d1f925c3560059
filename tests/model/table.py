#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Explores the machine, and compares its table in ARCHITECTURE.md with what was met; --write renews it."""

import difflib
import pathlib
import subprocess
import sys

BEGIN = "<!-- machine:begin -->\n"
END = "<!-- machine:end -->\n"


def main() -> int:
    explore, path = sys.argv[1], pathlib.Path(sys.argv[2])
    done = subprocess.run([explore, "--table"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    results, table = done.stderr, done.stdout
    sys.stdout.write(results)
    text = path.read_text(encoding="utf-8")
    assert text.count(BEGIN) == 1 and text.count(END) == 1, f"{path}: needs one line {BEGIN.strip()} and {END.strip()}"
    before, rest = text.split(BEGIN)
    written, after = rest.split(END)
    if sys.argv[3:] == ["--write"]:
        path.write_text(before + BEGIN + table + END + after, encoding="utf-8")
        written = table
    number = 1 + sum(line.startswith(("ok ", "not ok ")) for line in results.splitlines())
    print(f"{'ok' if written == table else 'not ok'} {number} - {path.name} shows the table")
    for line in difflib.unified_diff(written.splitlines(), table.splitlines(), path.name, "the machine", lineterm=""):
        print("# " + line)
    if written != table:
        print("# The machine has changed. Renew its table with: ninja -C BUILD machine-table")
    return done.returncode or written != table


if __name__ == "__main__":
    sys.exit(main())
