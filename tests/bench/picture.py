# SPDX-License-Identifier: MIT
"""Every request of one turn as a point, replacements as lines: drawn by gnuplot as SVG and PNG."""
import pathlib
import subprocess
import tempfile

from harness.process import environment

WIDTH, ROW, MARGIN, BETWEEN = 900, 190, 60, 70  # pixels

HEAD = """\
set terminal {terminal} size {width},{height} {more}
set output "{output}"
set multiplot layout {rows},1 margins 0.09,0.98,{bottom},{top} spacing {between}
set logscale y
set yrange [{low}:{high}]
set ytics ("1 ms" 1, "10 ms" 10, "100 ms" 100, "1 s" 1000, "10 s" 10000) nomirror
set xrange [0:{seconds}]
set xtics {every} nomirror format ""
set border 3 linecolor "#888888"
set grid ytics linecolor "#dddddd"
set key off
"""

ROW_TEXT = """\
unset arrow
unset label
{arrows}
set label 1 "{title}" at graph 0.0,1.08 left font ",12" noenhanced front
set label 2 "{count}" at graph 1.0,1.08 right font ",12" textcolor "{colour}" front
{xlabel}
plot "{answered}" using 1:2 with points pointtype 7 pointsize 0.25 linecolor "#3465a4", \\
     "{failed}" using 1:2 with points pointtype 2 pointsize 0.8 linewidth 1.5 linecolor "#cc0000"
"""


def write_points(path, entries, height):
    # gnuplot takes no empty file: a point outside the range stands for none
    points = [f"{moment:.6f} {height if height else latency:.6f}" for moment, latency in entries] or ["-1 1"]
    path.write_text("\n".join(points) + "\n")


def row(directory, number, name, turn, last, high):
    ledger = [entry for entry in turn["ledger"] if turn["begin"] <= entry["at"] < turn["end"]]
    good = [entry for entry in ledger if not entry["error"] and entry["status"] == 200]
    points = {kind: [(entry["at"] - turn["begin"], entry["latency"] * 1000) for entry in entries]
              for kind, entries in (("answered", good), ("failed", [e for e in ledger if e not in good]))}
    answered, failed = directory / f"{number}.answered", directory / f"{number}.failed"
    write_points(answered, points["answered"], None)
    write_points(failed, points["failed"], high / 2)
    arrows = "\n".join(
        f"set arrow from {moment - turn['begin']:.6f},graph 0 to {moment - turn['begin']:.6f},graph 1 nohead "
        'linecolor "#aaaaaa" dashtype 2' for moment in turn["replaced"])
    lost = len(points["failed"])
    return ROW_TEXT.format(
        arrows=arrows, title=name, answered=answered, failed=failed, colour="#cc0000" if lost else "#2e7d32",
        count=f"{lost} of {len(ledger)} failed",
        xlabel='set xtics format "%g s"' if last else 'set xtics format ""')


def draw(turns, path, low=0.4, high=4000, every=1):
    """turns: {name: {"ledger", "begin", "end", "replaced"}}; writes path.svg and path.png. low, high: ms; every: seconds
    between two marks. Failed requests are drawn at half of high."""
    seconds = max(turn["end"] - turn["begin"] for turn in turns.values())
    height = ROW * len(turns) + MARGIN
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        rows = "".join(row(directory, number, title, turn, number == len(turns) - 1, high)
                       for number, (title, turn) in enumerate(turns.items()))
        for terminal, more in (("svg", 'background "#ffffff" font "sans-serif,11"'),
                               ("pngcairo", 'background "#ffffff" font "sans-serif,11"')):
            output = path.with_suffix(".svg" if terminal == "svg" else ".png")
            text = HEAD.format(terminal=terminal, width=WIDTH, height=height, more=more, output=output,
                               rows=len(turns), low=low, high=high, every=f"{every:g}", seconds=f"{seconds:g}", bottom=f"{MARGIN / 2 / height:.3f}",
                               top=f"{1 - MARGIN / height:.3f}", between=f"{BETWEEN / height:.3f}") + rows
            subprocess.run(["gnuplot"], input=text, env=environment(), check=True, text=True)
