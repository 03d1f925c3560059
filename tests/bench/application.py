# SPDX-License-Identifier: MIT
"""A real application: Debian's MediaWiki on sqlite, its pages asked for at a fixed rate while php-fpm is replaced in
different ways. What a page of two lines never shows is what a cold opcode cache costs."""
import concurrent.futures
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request

import contenders
import extensions
import ledger
import picture
import report
from harness.holdfast import call
from harness.paths import ROOT
from harness.process import environment
from harness.site import Site

PROGRAM = pathlib.Path("/usr/share/mediawiki")
WORKERS = 8
PAGES = ["/index.php?title=Main_Page", "/index.php?title=Special:RecentChanges&days=30", "/api.php?action=query&meta=siteinfo&format=json",
         "/index.php?title=Special:SpecialPages", "/index.php?title=Main_Page&action=history"]
ROUNDS_OF_PAGES = 2  # for each worker, before anything counts
AFTER = 3  # seconds around the moment at which a replacement is done
QUANTILES = [("median", 0.5), ("90 %", 0.9), ("99 %", 0.99)]
MARKS = ("<!-- application:begin -->", "<!-- application:end -->")
RESULTS = ROOT / "tests" / "bench" / "APPLICATION.md"


class Wiki(Site):
    """A site of which the pages are a wiki's, in a copy of its data."""

    def __init__(self, made):
        super().__init__("tcp", children=WORKERS)
        data = self.directory / "data"
        shutil.copytree(made / "data", data)
        settings = (made / "LocalSettings.php").read_text().replace(str(made / "data"), str(data))
        (self.directory / "LocalSettings.php").write_text(settings)
        subprocess.run(["chown", "-R", "www-data:", data], check=True)
        self.pools[0].options["env[MW_CONFIG_FILE]"] = self.directory / "LocalSettings.php"
        self.configure()
        self.root = PROGRAM
        self.pages = PAGES

    def ask(self, page):
        with urllib.request.urlopen(self.url + page, timeout=60) as answer:
            answer.read()

    def warm(self):
        """Each worker has had each page, as after hours of visitors."""
        _ = self.nginx  # one for all threads
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as threads:
            list(threads.map(self.ask, PAGES * WORKERS * ROUNDS_OF_PAGES))


def prepare(scratch):
    """Installs the packages, and makes the wiki and php's choice of extensions in scratch."""
    extensions.install([*extensions.APPLICATION, "cli", "fpm"])
    subprocess.run([extensions.PACKAGES, "mediawiki", "systemd-container", "libserver-starter-perl"], check=True)
    ini = scratch / "ini"
    extensions.enable(ini, extensions.APPLICATION)
    os.environ["PHP_INI_SCAN_DIR"] = str(ini)
    made = scratch / "wiki"
    made.mkdir()
    subprocess.run(["php8.2", PROGRAM / "maintenance" / "install.php", "--dbtype=sqlite", f"--dbpath={made}/data",
                    f"--confpath={made}", "--server=http://127.0.0.1", "--scriptpath=", "--pass=bench-0-Password",
                    "--skins=Vector", "Bench", "Admin"], env=environment(PHP_INI_SCAN_DIR=f"/etc/php/8.2/cli/conf.d:{ini}"),
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(made / "LocalSettings.php", "a") as settings:
        settings.write("$wgJobRunRate = 0;\n")
    return made


def turn(kind, made, options):
    """The ledger of one contender in one round, and when it was replaced."""
    site = Wiki(made)
    try:
        contender = kind(site)
        contender.start()
        site.warm()
        load = site.load(rate=options.rate, slow_share=0, path=PAGES, timeout=60)
        begin = time.monotonic()
        replaced = []
        for number in range(options.replacements):
            time.sleep(max(0, begin + options.interval * (number + 0.5) - time.monotonic()))
            start = time.monotonic()
            if kind.replaces:
                contender.replace()
            replaced.append((start, time.monotonic()))
        time.sleep(max(0, begin + options.interval * options.replacements - time.monotonic()))
        end = time.monotonic()
        result = load.stop()
        contender.stop()
        return {"ledger": result["ledger"], "begin": begin, "end": end, "windows": replaced,
                "replaced": [start for start, _ in replaced], "late": result["late_ms"] / 1000}
    finally:
        site.close()


def figures(entries):
    failed = [entry for entry in entries if ledger.is_failure(entry)]
    served = sorted(entry["latency"] for entry in entries if not ledger.is_failure(entry))
    if not served:
        raise AssertionError(f"none of {len(entries)} requests was answered: {failed[:3]}")
    return {"requests": len(entries), "failed": len(failed),
            **ledger.failures(entries, entries[0]["at"]),
            **{name: ledger.quantile(served, share) for name, share in QUANTILES}, "slowest": served[-1]}


def summary(turns, replaces):
    """Of all requests, and of those that were due around the moment at which a replacement was done, if not before it
    was asked for. A long one, that is not felt until then, must not make this look better."""
    every, after = [], []
    for one in turns:
        within = [entry for entry in one["ledger"] if one["begin"] <= entry["at"] < one["end"]]
        every += within
        after += [entry for entry in within
                  if any(max(start, end - AFTER) <= entry["at"] < end + AFTER for start, end in one["windows"])]
    took = [end - start for one in turns for start, end in one["windows"]]
    return {"all": figures(every), "after": figures(after), "took": statistics.median(took) if replaces else None,
            "late": max(one["late"] for one in turns)}


def run(options, tell, scratch):
    made = prepare(scratch)
    kinds = [kind for kind in contenders.APPLICATION if not options.only or kind.name in options.only]
    known = call("run", "--help=all").stdout
    missing = [kind for kind in kinds if any(f"{word}=" not in known for word in kind.needs)]
    for kind in missing:
        tell(f"{kind.name}: left out, this build has no {' '.join(kind.needs)}")
    kinds = [kind for kind in kinds if kind not in missing]
    turns = {kind.name: [] for kind in kinds}
    for number in range(options.rounds):
        first = number % len(kinds)
        for kind in kinds[first:] + kinds[:first]:
            one = turn(kind, made, options)
            turns[kind.name].append(one)
            found = summary([one], kind.replaces)
            tell(f"round {number + 1} of {options.rounds}: {kind.name}: {found['all']['failed']} failed; after: median "
                 f"{report.ms(found['after']['median'])}, 90 % {report.ms(found['after']['90 %'])}, slowest "
                 f"{report.ms(found['after']['slowest'])}{ledger.told(found['all'])}")
    if options.picture:
        picture.draw({name: list_[-1] for name, list_ in turns.items()}, options.picture.absolute(), low=4, high=20000,
                     every=options.interval / 2)
    return {kind.name: summary(turns[kind.name], kind.replaces) for kind in kinds}


def table(results, part):
    floor = results.get(contenders.FLOOR)
    columns = [name for name, _ in QUANTILES] + ["slowest"]

    def cell(found, key):
        text = report.whole_ms(found[part][key])
        return text if not floor or found is floor else f"{text} · {found[part][key] / floor[part][key]:.1f}×"

    return report.table(["", "requests", "failed", *columns, "one replacement"],
                        [[name, str(found[part]["requests"]), report.failed(found[part]),
                          *(cell(found, key) for key in columns), report.whole_ms(found["took"]) if found["took"] else ""]
                         for name, found in results.items()])


def markdown(results, options, command, whole=True):
    late = max(found["late"] for found in results.values())
    notes = " ".join(f"{kind.name}: {kind.note}." for kind in contenders.APPLICATION if kind.note and kind.name in results)
    parts = [f"`sudo {command}` ({report.machine()}): MediaWiki on sqlite, nginx, {WORKERS} static workers, opcache on, "
             f"{len(PAGES)} pages in turn at {options.rate:g} requests a second at fixed times, one replacement every "
             f"{options.interval:g} s, {options.rounds * options.replacements} of them. Requests that were due from the "
             f"moment a replacement was asked for, or {AFTER} s before it was done, until {AFTER} s after; times are counted from when each was "
             "due, × is against no restarts in the same run:",
             table(results, "after")]
    if whole:
        parts += ["All requests:", table(results, "all"), notes,
                  f"The load generator was at most {report.ms(late)} late."]
    return "\n\n".join(parts) + "\n"


def bench(options, command, tell):
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as name:
        scratch = pathlib.Path(name)
        scratch.chmod(0o755)
        results = run(options, tell, scratch)
    section = markdown(results, options, command)
    print(section, end="", flush=True)
    if options.json:
        report.write_json(options.json, {"machine": report.machine(), "application": results})
    if options.readme:
        report.write_section(markdown(results, options, command, whole=False) +
                             f"\nAll figures and notes: [{RESULTS.relative_to(ROOT)}]({RESULTS.relative_to(ROOT)}).\n", MARKS)
        report.replace(RESULTS, f"# A real application\n\n{section}")
