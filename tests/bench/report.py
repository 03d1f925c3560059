# SPDX-License-Identifier: MIT
"""Figures to Markdown, to JSON, and into the README."""
import argparse
import json
import os
import pathlib
import re
import subprocess

from contenders import ALL, FLOOR
from harness.paths import PHP_FPM, ROOT
from harness.process import environment

README = ROOT / "README.md"
RESULTS = ROOT / "tests" / "bench" / "RESULTS.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
SHORT = ["p999", "slowest", "gap"]
COLUMNS = [("p50", "p50"), ("p99", "p99"), ("p99.9", "p999"), ("slowest", "slowest"), ("longest gap", "gap")]


def version(command, pattern):
    shown = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True)
    found = re.search(pattern, shown.stdout + shown.stderr)
    return found.group(1) if found else "?"


def machine():
    return (f"{os.cpu_count()} cores, php-fpm {version([PHP_FPM, '-v'], r'PHP ([0-9]+[.][0-9]+)')}, "
            f"nginx {version(['nginx', '-v'], r'nginx/([0-9]+[.][0-9]+)')}")


def ms(seconds):
    return f"{seconds * 1000:.1f} ms"


def whole_ms(seconds):
    return f"{seconds * 1000:,.0f} ms"


def signed(number, unit):
    return f"{number:+d} {unit}"


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def failed(figures):
    if not figures["failed"]:
        return "0"
    kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(figures["failures"].items()))
    return f"{figures['failed']} ({kinds})"


def latency_row(name, figures, floor):
    def cell(key):
        if not floor or floor is figures:
            return ms(figures[key])
        return f"{ms(figures[key])} · {figures[key] / floor[key]:.1f}×"

    return [name, str(figures["requests"]), failed(figures), *(cell(key) for _, key in COLUMNS),
            ms(figures["took"]) if figures["took"] else "",
            *([f"{figures['wrk_failed']} of {figures['wrk_requests']}"] if "wrk_requests" in figures else [])]


def latency(results, options):
    floor = results.get(FLOOR, {}).get("median")
    rows = [latency_row(name, result["median"], floor) for name, result in results.items()]
    notes = [f"{kind.name}: {kind.note}." for kind in ALL if kind.name in results and kind.note]
    beside = f"; beside them wrk with {options.wrk} connections without a pause" if options.wrk else ""
    late = max(result["median"]["late"] for result in results.values())
    return "\n\n".join([
        f"nginx before php-fpm on {'a unix socket' if options.unix else 'a TCP port'}, {options.children} workers"
        f"{f', {options.extensions} extensions' if options.extensions else ''}; {options.rate:g} requests a second at fixed times, {options.long_share:.0%} of them {options.long_ms} ms "
        f"long{beside}; one replacement every {options.interval:g} s.",
        table(["", "requests", "failed", *(title for title, _ in COLUMNS), "one replacement",
               *(["wrk: failed"] if options.wrk else [])], rows),
        f"Times are of the short requests, counted from when each was due, medians of {options.rounds} interleaved "
        f"round{'s' if options.rounds > 1 else ''}; × is against no restarts in the same run; "
        "longest gap: for so long no short request was answered. "
        f"The load generator was at most {ms(late)} late.",
        *([" ".join(notes)] if notes else [])])


def cost(figures):
    resident, start, ready, swaps = (figures[key] for key in ("resident", "exec", "ready", "swaps"))
    rows = []
    for moment, title in (("started", "after the start"), ("reloaded", f"after {resident['reloads']} reloads")):
        held, empty = resident[moment]["holdfast"], resident[moment]["empty"]
        for key, what in (("private_dirty_kb", "private dirty memory"), ("pss_kb", "PSS")):
            rows.append([f"{what} {title}", f"{held[key]} kB", f"{empty[key]} kB",
                         signed(held[key] - empty[key], "kB")])
    held, empty = resident["reloaded"]["holdfast"], resident["reloaded"]["empty"]
    rows += [
        [f"descriptors more after {resident['reloads']} reloads", str(resident["descriptors_grown"]), "", ""],
        ["threads", str(held["threads"]), str(empty["threads"]), ""],
        [f"wake-ups in {resident['idle_seconds']:g} idle seconds", str(resident["wake_ups"]), "", ""],
        ["from exec to exec of the service, nothing to discover", ms(start["held"]), ms(start["direct"]),
         f"+{ms(start['held'] - start['direct'])}"],
        ["from exec to READY=1 of php-fpm", ms(ready["held"]), ms(ready["alone"]),
         f"+{ms(ready['held'] - ready['alone'])}"],
        ["from SIGHUP to the old generation's stop signal, nothing to discover", ms(swaps["held"]), ms(swaps["alone"]),
         f"+{ms(swaps['held'] - swaps['alone'])}"],
    ]
    crashes, gone, processor = figures["crashes"], figures["crashes_of_all"], figures["processor"]
    rows += [
        ["from kill -9 of the master to the next one ready", ms(crashes["took"]), ms(ready["alone"]),
         f"{(crashes['took'] - ready['alone']) * 1000:+.1f} ms"],
        ["from kill -9 of all its processes to the next one ready", ms(gone["took"]), ms(ready["alone"]),
         f"{(gone['took'] - ready['alone']) * 1000:+.1f} ms"],
        [f"processor time of a reload with {processor['extensions']} extensions", ms(processor["reload"]),
         ms(processor["alone"]), f"{processor['reload'] / processor['alone']:.2f}×"],
        [f"processes of dead masters left after {crashes['runs']} kills", str(crashes["orphans"]), "", ""],
    ]
    started = resident["started"]["holdfast"]
    launchers = {"holdfast": {**started, "wake_ups": resident["wake_ups"], "start": start["held"]},
                 **{name: {**found, "start": start[name]} for name, found in figures["others"].items()}}
    return "\n\n".join([
        table(["cost", "holdfast", "compared with", "difference"], rows),
        "Memory is compared with that of an empty sd-event and sd-bus server, times with the service started directly; "
        f"medians of {start['runs']} and {ready['runs']} starts. Before php-fpm is started it is asked for its pools "
        f"and its verdict: `php-fpm -tt` and `-t` by themselves take {ms(ready['tests'])}. The reloads are {swaps['runs']} "
        "of a service that is ready at once, beside its own start until READY=1. Processor time is of all that runs for a "
        "reload, the end of the old php-fpm included, beside that of php-fpm's own start and end.",
        table(["launcher", "private dirty memory", "PSS", "threads",
               f"wake-ups in {resident['idle_seconds']:g} idle seconds", "from its exec to that of the service"],
              [[name, f"{found['private_dirty_kb']} kB", f"{found['pss_kb']} kB", str(found["threads"]),
                str(found["wake_ups"]), ms(found["start"])] for name, found in launchers.items()])])


def markdown(result, options, command):
    parts = [f"`sudo {command}` ({result['machine']}):", latency(result["contenders"], options)]
    if result.get("many", {}).get("contenders"):
        parts.append(latency(result["many"]["contenders"], argparse.Namespace(**result["many"]["options"])))
    if "cost" in result:
        parts.append(cost(result["cost"]))
    return "\n\n".join(parts) + "\n"


def short(result, options, command):
    """What a newcomer wants to know, for the README."""
    floor = result["contenders"].get(FLOOR, {}).get("median")
    titles = {key: title for title, key in COLUMNS}
    rows = [[name, f"{found['failed']} of {found['requests']}",
             *(f"{ms(found[key])}" if not floor else f"{ms(found[key])} · {found[key] / floor[key]:.1f}×"
               for key in SHORT)]
            for name, found in ((name, one["median"]) for name, one in result["contenders"].items())]
    parts = [f"`sudo {command}`, {result['machine']}, {options.rate:g} requests a second, {options.long_share:.0%} of "
             f"them {options.long_ms} ms long, one replacement every {options.interval:g} s, medians of {options.rounds} "
             "rounds:",
             table(["", "failed", *(titles[key] for key in SHORT)], rows)]
    if "cost" in result:
        resident, start, swaps = (result["cost"][key] for key in ("resident", "exec", "swaps"))
        held, empty = resident["started"]["holdfast"], resident["started"]["empty"]
        peers = ", ".join(f"{name} {found['private_dirty_kb']:,} kB" for name, found in result["cost"]["others"].items())
        parts.append(
            f"holdfast itself has {held['private_dirty_kb']} kB of memory of its own (an empty libsystemd server "
            f"{empty['private_dirty_kb']} kB, {peers}) and wakes up {resident['wake_ups']} times in "
            f"{resident['idle_seconds']:g} idle seconds. It starts a service within {ms(start['held'])}, and asks the old "
            f"generation to leave {ms(swaps['held'])} after SIGHUP, when there is nothing to discover and the next one is "
            "ready at once.")
    parts.append(f"What the columns mean, all the figures, and notes on each way: "
                 f"[{RESULTS.relative_to(ROOT)}]({RESULTS.relative_to(ROOT)}).")
    return "\n\n".join(parts) + "\n"


def write_json(path, result):
    replace(pathlib.Path(path), json.dumps(result, indent=2) + "\n")


def replace(path, text):
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    if path.exists():
        new.chmod(path.stat().st_mode & 0o7777)
    new.replace(path)


def split_readme(marks=(BEGIN, END)):
    """(before, after) the section between marks, which are ours, with them; ValueError when there is none."""
    first, last = marks
    text = README.read_text() if README.exists() else ""
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{README} has no section between {first} and {last}")
    return before + begin, end + after


def write_section(text, marks=(BEGIN, END)):
    before, after = split_readme(marks)
    replace(README, f"{before}\n{text}{after}")


def write_readme(summary, section):
    write_section(summary)
    replace(RESULTS, f"# Results\n\n{section}")
