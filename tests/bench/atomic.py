# SPDX-License-Identifier: MIT
"""Is a switch atomic? An application that says its version, asked at a fixed rate, and reloads that change it."""
import time

import ledger
import report
from harness.site import Site
from harness.versions import went_back

LOG_MAX = 4000  # characters of nginx's log, where a request failed


def turn(listen, options, tell):
    site = Site(listen, children=options.children)
    reloads = []
    try:
        holdfast = site.holdfast()
        site.get()
        load = site.load(rate=options.rate, slow_share=0, requests=10 ** 7, duration=10 ** 5)
        began = time.monotonic()
        for number in range(2, options.replacements + 2):
            reloads.append(time.monotonic())
            holdfast.reload(number)
            if number % 50 == 0:
                tell(f"{listen}: {number} of {options.replacements} reloads")
        entries = load.stop()["ledger"]
        log = (site.directory / "nginx.log").read_text(errors="replace")[:LOG_MAX]
        holdfast.stop()
    finally:
        site.close()
    good = [entry for entry in entries if not ledger.is_failure(entry)]
    found = ledger.failures(entries, began)
    if found["failures"]:
        tell(f"{listen}: {len(entries) - len(good)} of {len(entries)} failed{ledger.told(found)}; reloads began after "
             + ", ".join(f"{moment - began:.2f}" for moment in reloads) + f" s; nginx: {log}")
    # hello.php says the pid of its master: one for each generation
    asked = [(entry["sent"], entry["at"] + entry["latency"], entry["body"].split()[1]) for entry in good]
    return {"requests": len(entries), "failed": len(entries) - len(good), **found, "reloads": options.replacements,
            "versions": len({version for _, _, version in asked}), "went_back": len(went_back(asked))}


def bench(options, command, tell):
    results = {listen: turn(listen, options, tell) for listen in ("tcp", "unix")}
    rows = [[name, str(found["requests"]), report.failed(found), *(str(found[key]) for key in ("reloads", "versions", "went_back"))]
            for name, found in results.items()]
    print(f"`sudo {command}` ({report.machine()}): {options.rate:g} requests a second for a page that says its version; "
          "too late is who began after the first answer of a newer one, and got an older one:\n")
    print(report.table(["", "requests", "failed", "reloads", "versions seen", "too late"], rows), flush=True)
    if options.json:
        report.write_json(options.json, {"machine": report.machine(), "atomic": results})
