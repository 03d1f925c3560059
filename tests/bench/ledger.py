# SPDX-License-Identifier: MIT
"""From the load's ledger of every request to figures."""
import collections


def quantile(ordered, share):
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def longest_gap(moments, begin, end):
    edges = [begin, *sorted(moment for moment in moments if begin < moment < end), end]
    return max(later - earlier for earlier, later in zip(edges, edges[1:]))


def figures(ledger, begin, end):
    """Of the requests that were due from begin until end. Times in seconds, latencies from the moment
    a request was due, so a stall counts for everyone who had to wait in it. Latencies and the gap are
    those of the short requests that were answered; the long ones count among the failures only."""
    ledger = [entry for entry in ledger if begin <= entry["at"] < end]
    failed = [entry for entry in ledger if entry["error"] or entry["status"] != 200]
    served = [entry for entry in ledger if not entry["slow"] and not entry["error"] and entry["status"] == 200]
    if not served:
        raise AssertionError(f"none of {len(ledger)} requests was answered: {failed[:3]}")
    ordered = sorted(entry["latency"] for entry in served)
    return {
        "requests": len(ledger),
        "failed": len(failed),
        "failed_long": sum(entry["slow"] for entry in failed),
        "failures": dict(collections.Counter(entry["error"] or str(entry["status"]) for entry in failed)),
        "p50": quantile(ordered, 0.5),
        "p99": quantile(ordered, 0.99),
        "p999": quantile(ordered, 0.999),
        "slowest": ordered[-1],
        "gap": longest_gap([entry["at"] + entry["latency"] for entry in served], begin, end),
    }
