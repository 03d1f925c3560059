# SPDX-License-Identifier: MIT
"""Figures for people."""


def line(figures):
    return ", ".join(f"{name}: {value}" for name, value in figures.items())


def table(head, figures):
    """Two columns."""
    width = max(map(len, [head, *figures]))
    rows = [f"  {name:<{width}}  {value:>9}\n" for name, value in figures.items()]
    return f"{head}\n{''.join(rows)}"
