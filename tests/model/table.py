#!/usr/bin/python3
"""Compares the table of states and events in ARCHITECTURE.md with the machine; --write renews it."""

import difflib
import pathlib
import subprocess
import sys

BEGIN = "<!-- machine:begin -->\n"
END = "<!-- machine:end -->\n"


def main() -> int:
    explore, path = sys.argv[1], pathlib.Path(sys.argv[2])
    table = subprocess.run([explore, "--table"], check=True, text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL).stdout
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        print(f"{path}: needs one line {BEGIN.strip()} and one line {END.strip()}")
        return 1
    before, rest = text.split(BEGIN)
    written, after = rest.split(END)
    if sys.argv[3:] == ["--write"]:
        path.write_text(before + BEGIN + table + END + after, encoding="utf-8")
        return 0
    if written == table:
        return 0
    sys.stdout.writelines(difflib.unified_diff(written.splitlines(True), table.splitlines(True),
                                               str(path), "the machine"))
    print("The machine has changed. Renew its table with: ninja -C BUILD machine-table")
    return 1


if __name__ == "__main__":
    sys.exit(main())
