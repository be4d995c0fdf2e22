"""Audit of a table of published numbers: granularity, averages, differences, bold marks.

What does not fit is "inconsistent with P x m", never "wrong": there may be a harmless reading (two runs of 32 under a
heading "@32", dropped items, partial credit).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from harness.audit_granularity import (
    ROUNDINGS,
    Rounding,
    chance,
    chance_rounded_runs,
    fits,
    fits_rounded_runs,
    ties,
)
from harness.audit_sums import BoldCheck, SumCheck, averages_of, bold_checks, sum_checks
from harness.card import load_card
from harness.errors import UsageError, nearest
from harness.published_table import TableFile, claimed_samples, decimals

MOST_SAMPLES = 256
Size = tuple[int, Literal["table", "card", "option"]]  # P, and where it is from


@dataclass(frozen=True, slots=True)
class Cell:
    """One printed figure: table, row, column as headed, and the text."""

    table: str
    row: str
    column: str
    figure: str


@dataclass(frozen=True, slots=True)
class Fit:
    """How the cells of a group fit P problems x m samples.

    Attributes:
        samples: m.
        source: Why this m is looked at: "stated", "inferred", "unknown" or "heading".
        cells: How many cells are held against it.
        by_rule: Rounding rule -> how many fit.
        any_rule: How many fit under any of the rules.
        rounded_runs: How many fit when each run was rounded before the mean was taken.
        chance: q, the chance that a random figure fits.
        chance_rounded_runs: The same when runs were rounded first.
        unfit: Cells that fit under no rule.
        unfit_rounded: Cells that do not fit even with rounded runs.
    """

    samples: int
    source: str
    cells: int
    by_rule: Mapping[Rounding, int]
    any_rule: int
    rounded_runs: int
    chance: Fraction
    chance_rounded_runs: Fraction
    unfit: tuple[Cell, ...]
    unfit_rounded: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Cells over the same problems.

    Attributes:
        columns: Columns they stand in, without ``@``.
        problems: P.
        problems_source: "table", "card" (assumed from the benchmark's card) or "option".
        cells: The cells.
        fits: The sample counts that the file names, and those that its headings claim.
        likely: m that ties are looked for at: the file's, else the smallest that fits all cells; 0 without one.
        fitting: All m up to ``tried`` that every cell fits under the file's rounding rule.
        tried: How many m were tried.
        settled: Exact ties: (cell, count, rule that prints it).
    """

    columns: tuple[str, ...]
    problems: int
    problems_source: Literal["table", "card", "option"]
    cells: tuple[Cell, ...]
    fits: tuple[Fit, ...]
    likely: int
    fitting: tuple[int, ...]
    tried: int
    settled: tuple[tuple[Cell, int, Rounding], ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """The whole audit of a file.

    Attributes:
        title: Of the file.
        rounding: The rule that most cells with a known sample count follow.
        groups: One a column, and one more where several columns share P and m.
        skipped: Columns without granularity: name -> why.
        sums: Averages and differences.
        bold: Bold marks.
    """

    title: str
    rounding: Rounding
    groups: tuple[Group, ...]
    skipped: Mapping[str, str]
    sums: tuple[SumCheck, ...]
    bold: tuple[BoldCheck, ...]

    @property
    def inconsistent(self) -> int:
        """Findings that contradict what the file itself says."""
        cells = {c for g in self.groups for f in g.fits if f.source != "inferred" for c in f.unfit_rounded}
        sums = sum(check.finding == "inconsistent" for check in self.sums)
        return len(cells) + sums + sum(not check.right for check in self.bold)


def audit(
    file: TableFile,
    problems: Mapping[str, int] | None = None,
    samples: Mapping[str, int] | None = None,
    most_samples: int = MOST_SAMPLES,
) -> Audit:
    """Audits a table file.

    Args:
        file: The tables.
        problems: Column -> P, over what the file or a card says.
        samples: Column -> m to hold the column against, over what the file says.
        most_samples: Every m from 1 to here is tried.

    Raises:
        UsageError: ``problems`` or ``samples`` name a column that the file has not.
    """
    cells = _cells(file)
    for name in [*(problems or {}), *(samples or {})]:
        if name not in cells:
            raise UsageError(f"there is no column '{name}' with figures in {file.title}{nearest(name, cells)}")
    skipped: dict[str, str] = {}
    sized: dict[str, Size] = {}
    for name in cells:
        unit = file.column(name).unit
        size = _problems(file, name, problems or {})
        if unit != "percent":
            skipped[name] = f"in {unit}, not a share of samples"
        elif size is None:
            skipped[name] = "number of problems not known; give it with --problems"
        else:
            sized[name] = size
    declared = {name: _declared(file, name, samples or {}) for name in sized}
    rounding = _rounding(cells, sized, declared)
    parts: list[tuple[tuple[str, ...], Size]] = [((name,), size) for name, size in sized.items()]
    for count, source in dict.fromkeys(sized.values()):
        for known in dict.fromkeys(declared[n] for n, size in sized.items() if size[0] == count):
            together = tuple(n for n, size in sized.items() if size[0] == count and declared[n] == known)
            if len(together) > 1:
                parts.append((together, (count, source)))
    groups = tuple(_group(names, size, cells, declared, rounding, most_samples) for names, size in parts)
    places = [(table.place or name, table) for name, table in file.tables.items()]
    sums = tuple(check for place, table in places for check in sum_checks(place, table))
    bold = tuple(check for place, table in places for check in bold_checks(place, table))
    return Audit(file.title or file.name, rounding, groups, skipped, sums, bold)


def _cells(file: TableFile) -> dict[str, list[Cell]]:
    """Column without ``@`` -> its figures; quoted ones are left out: they were rounded elsewhere."""
    found: dict[str, list[Cell]] = {}
    for name, table in file.tables.items():
        summed = {average.column for average in averages_of(table)} | {d.column for d in table.differences}
        for row_name, row in table.rows.items():
            for column, figure in zip(table.columns, row.values, strict=True):
                if figure is None or column in summed:
                    continue
                mine = found.setdefault(column.partition("@")[0], [])
                if column not in row.quoted:
                    mine.append(Cell(table.place or name, row_name, column, figure))
    return {name: cells for name, cells in found.items() if cells}


def _problems(file: TableFile, name: str, given: Mapping[str, int]) -> Size | None:
    if name in given:
        return given[name], "option"
    column = file.column(name)
    if column.problems is not None:
        return column.problems, "table"
    try:
        return load_card(column.benchmark or name).num_problems, "card"
    except UsageError:
        return None


def _declared(file: TableFile, name: str, given: Mapping[str, int]) -> tuple[int, str] | None:
    if name in given:
        return given[name], "option"
    column = file.column(name)
    return (column.samples, column.samples_source) if column.samples else None


def _rounding(
    cells: Mapping[str, Sequence[Cell]],
    sized: Mapping[str, tuple[int, str]],
    declared: Mapping[str, tuple[int, str] | None],
) -> Rounding:
    score = dict.fromkeys(ROUNDINGS, 0)
    for name, (count, _) in sized.items():
        known = declared[name]
        for rule in ROUNDINGS if known else ():
            total = count * known[0] if known else 0
            score[rule] += sum(fits(cell.figure, total, rule) for cell in cells[name])
    return max(ROUNDINGS, key=lambda rule: score[rule])


def _group(
    names: tuple[str, ...],
    size: Size,
    cells: Mapping[str, Sequence[Cell]],
    declared: Mapping[str, tuple[int, str] | None],
    rounding: Rounding,
    most_samples: int,
) -> Group:
    count, source = size
    mine = tuple(cell for name in names for cell in cells[name])
    known = declared[names[0]]
    found = [_fit(mine, count, *known)] if known else []
    for claim in sorted({m for cell in mine if (m := claimed_samples(cell.column)) is not None}):
        found.append(_fit([cell for cell in mine if claimed_samples(cell.column) == claim], count, claim, "heading"))
    fitting = tuple(
        m for m in range(1, most_samples + 1) if all(fits(cell.figure, count * m, rounding) for cell in mine)
    )
    likely = known[0] if known else next(iter(fitting), 0)
    total = count * likely
    settled = tuple((cell, k, rule) for cell in mine if total for k, rule in ties(cell.figure, total))
    return Group(names, count, source, mine, tuple(found), likely, fitting, most_samples, settled)


def _fit(cells: Sequence[Cell], count: int, samples: int, source: str) -> Fit:
    total = count * samples
    digits = max((decimals(cell.figure) for cell in cells), default=2)
    loose = [fits_rounded_runs(cell.figure, count, samples) for cell in cells]
    tight = [fits(cell.figure, total) for cell in cells]
    return Fit(
        samples=samples,
        source=source,
        cells=len(cells),
        by_rule={rule: sum(fits(cell.figure, total, rule) for cell in cells) for rule in ROUNDINGS},
        any_rule=sum(tight),
        rounded_runs=sum(a or b for a, b in zip(tight, loose, strict=True)),
        chance=chance(total, digits),
        chance_rounded_runs=chance_rounded_runs(count, samples, digits),
        unfit=tuple(cell for cell, good in zip(cells, tight, strict=True) if not good),
        unfit_rounded=tuple(c for c, a, b in zip(cells, tight, loose, strict=True) if not (a or b)),
    )
