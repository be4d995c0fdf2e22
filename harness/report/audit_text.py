"""An audit as text: the same sections as a terminal table, as Markdown and as JSON."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.audit import Audit, Cell, Fit, Group
from harness.audit_granularity import ROUNDINGS
from harness.types import SCHEMA_VERSION

MOST_LISTED = 12


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a table and notes below it."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def sections(audit: Audit) -> Iterator[Section]:
    """The audit in the order in which it is read."""
    head = ("column", "P x m", "m is", "cells", *ROUNDINGS, "any rule", "runs rounded first", "chance of one", "of all")
    rows = [_fit_row(group, fit) for group in audit.groups for fit in group.fits]
    notes = [
        f"the cells follow the rule {audit.rounding}; chance: that random figures fit, at (N + 1)/10^(d+2)+1 each "
        f"(every column was tried with {max((g.tried for g in audit.groups), default=0)} values of m)"
    ]
    notes += [note for group in audit.groups for note in _notes(group)]
    notes += [f"{name}: not checked ({why})" for name, why in audit.skipped.items()]
    yield Section("Granularity: does a printed mean fit P problems x m samples?", head, rows, notes)
    fitting = [
        (", ".join(g.columns), str(g.problems), str(len(g.cells)), _listed(g), _all_chance(g)) for g in audit.groups
    ]
    head = ("column", "P", "cells", "m that fit all cells", "chance at the smallest")
    yield Section("Sample counts that fit", head, fitting)
    if audit.sums:
        rows = [
            (check.table, check.row, check.column, check.printed, f"{float(check.computed):.4f}", check.finding)
            for check in audit.sums
        ]
        yield Section("Averages and differences", ("table", "row", "column", "printed", "computed", "finding"), rows)
    if audit.bold:
        rows = [
            (c.table, c.column, ", ".join(c.bold) or "none", ", ".join(c.best), "right" if c.right else "inconsistent")
            for c in audit.bold
        ]
        yield Section("Bold marks", ("table", "column", "bold", "best", "finding"), rows)


def _fit_row(group: Group, fit: Fit) -> tuple[str, ...]:
    return (
        ", ".join(group.columns),
        f"{group.problems} x {fit.samples}",
        {"heading": "claimed by the heading"}.get(fit.source, fit.source),
        str(fit.cells),
        *(f"{fit.by_rule[rule]} of {fit.cells}" for rule in ROUNDINGS),
        f"{fit.any_rule} of {fit.cells}",
        f"{fit.rounded_runs} of {fit.cells}",
        f"{float(fit.chance):.3f}",
        power_text(fit.chance, fit.cells),
    )


def power_text(chance: Fraction, cells: int) -> str:
    """q^V, readable also where it is far below what a float holds."""
    if chance >= 1:
        return "1 (says nothing)"
    exponent = cells * math.log10(chance)
    return f"{10**exponent:.2g}" if exponent > -4 else f"1e{exponent:.0f}"


def _notes(group: Group) -> list[str]:
    name = ", ".join(group.columns)
    notes = []
    if group.problems_source == "card" and len(group.columns) == 1:
        notes.append(f"{name}: P = {group.problems} is assumed from the benchmark's card")
    for fit in group.fits if len(group.columns) == 1 else ():
        if fit.unfit_rounded:
            what = f"inconsistent with {group.problems} x {fit.samples}"
            notes.append(f"{name}: {what}: {_cells(fit.unfit_rounded)}")
        odd = [cell for cell in fit.unfit if cell not in fit.unfit_rounded]
        if odd:
            notes.append(f"{name}: fits {group.problems} x {fit.samples} only with runs rounded first: {_cells(odd)}")
    if group.settled and len(group.columns) == 1:
        told = [f"{cell.figure} = {k}/{group.problems * group.likely} by {rule}" for cell, k, rule in group.settled]
        notes.append(f"{name}: exact ties: {', '.join(told)}")
    return notes


def _cells(cells: Sequence[Cell]) -> str:
    told = [f"{cell.figure} ({cell.table}, {cell.row})" for cell in cells[:MOST_LISTED]]
    more = f" and {len(cells) - MOST_LISTED} more" if len(cells) > MOST_LISTED else ""
    return ", ".join(told) + more


def _listed(group: Group) -> str:
    told = ", ".join(map(str, group.fitting[:MOST_LISTED])) or f"none up to {group.tried}"
    return told + (f", ... ({len(group.fitting)} up to {group.tried})" if len(group.fitting) > MOST_LISTED else "")


def _all_chance(group: Group) -> str:
    if not group.fitting:
        return "-"
    digits = max(len(cell.figure.partition(".")[2]) for cell in group.cells)
    total = group.problems * group.fitting[0]
    return power_text(min(Fraction(1), Fraction(total + 1, 10 ** (digits + 2) + 1)), len(group.cells))


def print_audit(audit: Audit, console: Console) -> None:
    """Prints the audit on the terminal."""
    for section in sections(audit):
        table = Table(title=escape(section.title), title_justify="left", header_style="bold")
        for name in section.head:
            table.add_column(escape(name))
        for row in section.rows:
            table.add_row(*map(escape, row))
        if section.rows:
            console.print(table)
        for note in section.notes:
            console.print(f"- {escape(note)}", highlight=False)
    console.print(_verdict(audit), highlight=False)


def _verdict(audit: Audit) -> str:
    if not audit.inconsistent:
        return "Nothing in this file contradicts itself."
    return f"{audit.inconsistent} findings are inconsistent with what the file says; that may have harmless readings."


def audit_markdown(audit: Audit, command: str) -> str:
    """The audit as a Markdown page that says how it was made."""
    lines = [f"# Audit: {audit.title}", "", f"Made with `{command}`.", ""]
    for section in sections(audit):
        lines += [f"## {section.title}", ""]
        if section.rows:
            lines += [_line(section.head), _line(["---"] * len(section.head)), *map(_line, section.rows), ""]
        lines += [*(f"- {note}" for note in section.notes), *([""] if section.notes else [])]
    return "\n".join([*lines, _verdict(audit), ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def audit_json(audit: Audit) -> dict[str, Any]:
    """The audit for machines; chances as floats, fractions as text."""
    return {
        "schema_version": SCHEMA_VERSION,
        "title": audit.title,
        "rounding": audit.rounding,
        "groups": [_group_json(group) for group in audit.groups],
        "skipped": dict(audit.skipped),
        "sums": [
            {**{name: getattr(c, name) for name in c.__slots__ if name != "computed"}, "computed": str(c.computed)}
            for c in audit.sums
        ],
        "bold": [{**{name: getattr(c, name) for name in c.__slots__}, "right": c.right} for c in audit.bold],
        "inconsistent": audit.inconsistent,
    }


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "columns": list(group.columns),
        "problems": group.problems,
        "problems_source": group.problems_source,
        "cells": len(group.cells),
        "fitting": list(group.fitting),
        "tried": group.tried,
        "ties": [{"figure": c.figure, "count": k, "rule": rule, "row": c.row} for c, k, rule in group.settled],
        "fits": [
            {
                "samples": fit.samples,
                "source": fit.source,
                "cells": fit.cells,
                "by_rule": dict(fit.by_rule),
                "any_rule": fit.any_rule,
                "rounded_runs": fit.rounded_runs,
                "chance": float(fit.chance),
                "chance_rounded_runs": float(fit.chance_rounded_runs),
                "chance_all_log10": fit.cells * math.log10(fit.chance),
                "inconsistent": [f"{c.table}, {c.row}, {c.column}: {c.figure}" for c in fit.unfit_rounded],
            }
            for fit in group.fits
        ],
    }
