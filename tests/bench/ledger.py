# SPDX-License-Identifier: MIT
"""From the load's ledger of every request to figures."""
import collections

KINDS = 16


def quantile(ordered, share):
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def is_failure(entry):
    return bool(entry["error"]) or entry["status"] != 200


def failures(entries, begin):
    """{"failures": how many of each kind, "first": seconds after begin when the first of each was due}: a kind is the
    name of an error (ECONNREFUSED, timeout, truncated body), or a status. Not more kinds than KINDS, then "others"."""
    count, first = collections.Counter(), {}
    for entry in filter(is_failure, entries):
        kind = entry["error"] or str(entry["status"])
        kind = kind if kind in count or len(count) < KINDS else "others"
        count[kind] += 1
        first[kind] = min(entry["at"] - begin, first.get(kind, float("inf")))
    return {"failures": dict(count), "first": first}


def told(figures):
    """The same in words, for whoever watches the run; nothing where none failed."""
    kinds = (f"{count} × {kind}, the first after {figures['first'][kind]:.2f} s" for kind, count in sorted(figures["failures"].items()))
    return "".join(f"; {kind}" for kind in kinds)


def longest_gap(moments, begin, end):
    edges = [begin, *sorted(moment for moment in moments if begin < moment < end), end]
    return max(later - earlier for earlier, later in zip(edges, edges[1:]))


def figures(ledger, begin, end):
    """Of the requests that were due from begin until end. Times in seconds, latencies from the moment
    a request was due, so a stall counts for everyone who had to wait in it. Latencies and the gap are
    those of the short requests that were answered; the long ones count among the failures only."""
    ledger = [entry for entry in ledger if begin <= entry["at"] < end]
    failed = [entry for entry in ledger if is_failure(entry)]
    served = [entry for entry in ledger if not entry["slow"] and not is_failure(entry)]
    if not served:
        raise AssertionError(f"none of {len(ledger)} requests was answered: {failed[:3]}")
    ordered = sorted(entry["latency"] for entry in served)
    return {
        "requests": len(ledger),
        "failed": len(failed),
        "failed_long": sum(entry["slow"] for entry in failed),
        **failures(ledger, begin),
        "p50": quantile(ordered, 0.5),
        "p99": quantile(ordered, 0.99),
        "p999": quantile(ordered, 0.999),
        "slowest": ordered[-1],
        "gap": longest_gap([entry["at"] + entry["latency"] for entry in served], begin, end),
    }
