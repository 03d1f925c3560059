# SPDX-License-Identifier: MIT
"""Interleaved rounds: in each round every contender has its turn under the same load."""
import collections
import statistics
import time

import ledger
import wrk
from harness.site import Site

WARM_UP = 0.5  # seconds; the first requests meet cold workers, whoever serves
TIMES = ["p50", "p99", "p999", "slowest", "gap"]


def sleep_until(moment):
    time.sleep(max(0, moment - time.monotonic()))


def turn(kind, options):
    """Figures of one contender in one round."""
    site = Site("unix" if options.unix else "tcp", children=options.children)
    try:
        contender = kind(site)
        contender.start()
        load = site.load(rate=options.rate, slow_share=options.long_share,
                         slow_path=f"/busy.php?ms={options.long_ms}")
        closed = wrk.Wrk(site, options) if options.wrk else None
        time.sleep(WARM_UP)
        begin = time.monotonic()
        end = begin + options.interval * options.replacements
        took, replaced = [], []
        for number in range(options.replacements if kind.replaces else 0):
            sleep_until(begin + options.interval * (number + 0.5))
            start = time.monotonic()
            contender.replace()
            took.append(time.monotonic() - start)
            replaced.append(start)
        sleep_until(end)
        result = load.stop()
        beside = closed.finish() if closed else {}
        contender.stop()
        return {**ledger.figures(result["ledger"], begin, end), **beside, "took": took, "late": result["late_ms"] / 1000,
                "turn": {"ledger": result["ledger"], "begin": begin, "end": end, "replaced": replaced}}
    finally:
        site.close()


def median(turns):
    """One row of the table: times are medians over the rounds, counts are sums."""
    failures = collections.Counter()
    for figures in turns:
        failures.update(figures["failures"])
    took = [one for figures in turns for one in figures["took"]]
    return {
        **{key: sum(figures[key] for figures in turns) for key in ("requests", "failed", "failed_long")},
        "failures": dict(failures),
        "replacements": len(took),
        "took": statistics.median(took) if took else None,
        **{key: sum(figures[key] for figures in turns) for key in ("wrk_requests", "wrk_failed") if key in turns[0]},
        **{key: statistics.median(figures[key] for figures in turns) for key in TIMES},
        "late": max(figures["late"] for figures in turns),
    }


def run(kinds, options, tell):
    """{name: {"rounds": [figures], "median": figures, "turn": the last one whole}}; each round begins with another
    contender."""
    turns = {kind.name: [] for kind in kinds}
    last = {}
    for number in range(options.rounds):
        first = number % len(kinds)
        for kind in kinds[first:] + kinds[:first]:
            figures = turn(kind, options)
            last[kind.name] = figures.pop("turn")
            turns[kind.name].append(figures)
            tell(f"round {number + 1} of {options.rounds}: {kind.name}: {figures['failed']} of "
                 f"{figures['requests']} failed, p99.9 {figures['p999'] * 1000:.1f} ms, "
                 f"slowest {figures['slowest'] * 1000:.1f} ms{ledger.told(figures)}")
    return {name: {"rounds": rounds, "median": median(rounds), "turn": last[name]} for name, rounds in turns.items()}
