"""Averages, differences and bold marks of a printed table, in exact arithmetic."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from harness.audit_granularity import ROUNDINGS, Rounding
from harness.published_table import Average, Table, decimals

Finding = Literal["exact", "within rounding", "inconsistent"]


@dataclass(frozen=True, slots=True)
class SumCheck:
    """A printed average or difference against its parts.

    Attributes:
        table, row, column: Where it stands.
        kind: "average" or "difference".
        printed: As it is printed.
        computed: From the printed parts, exactly.
        finding: "exact": some rounding of ``computed`` is the printed figure; "within rounding": the parts before they
            were rounded may give it; "inconsistent": they cannot.
    """

    table: str
    row: str
    column: str
    kind: Literal["average", "difference"]
    printed: str
    computed: Fraction
    finding: Finding


@dataclass(frozen=True, slots=True)
class BoldCheck:
    """The bold marks of a column: the rows in bold and those that should be."""

    table: str
    column: str
    bold: tuple[str, ...]
    best: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Whether exactly the best figures are bold."""
        return set(self.bold) == set(self.best)


def sum_checks(name: str, table: Table) -> Iterator[SumCheck]:
    """Checks every average and difference that the file declares; rows with an empty cell in between are left out."""
    for row in table.rows:
        for average in averages_of(table):
            parts = [table.cell(row, column) for column in average.over]
            weight = Fraction(1, len(parts))
            yield from _check(name, row, average.column, "average", table, [(part, weight) for part in parts])
        for difference in table.differences:
            parts = [table.cell(row, difference.of), table.cell(row, difference.minus)]
            weighted = list(zip(parts, (Fraction(1), Fraction(-1)), strict=True))
            yield from _check(name, row, difference.column, "difference", table, weighted)


def averages_of(table: Table) -> tuple[Average, ...]:
    """The declared averages; else a column named average, avg or mean counts as the mean of all columns before it."""
    if table.averages:
        return table.averages
    for place, column in enumerate(table.columns):
        if place > 1 and column.strip().lower().rstrip(".") in ("average", "avg", "mean"):
            return (Average(column=column, over=table.columns[:place]),)
    return ()


def _check(
    name: str,
    row: str,
    column: str,
    kind: Literal["average", "difference"],
    table: Table,
    parts: Sequence[tuple[str | None, Fraction]],
) -> Iterator[SumCheck]:
    printed = table.cell(row, column)
    known = [(part, weight) for part, weight in parts if part is not None]
    if printed is None or len(known) < len(parts):
        return
    computed = sum((Fraction(part) * weight for part, weight in known), Fraction(0))
    slack = sum((half_unit(part) * abs(weight) for part, weight in known), half_unit(printed))
    if any(round_decimal(computed, decimals(printed), rule) == Fraction(printed) for rule in ROUNDINGS):
        finding: Finding = "exact"
    else:
        finding = "within rounding" if abs(computed - Fraction(printed)) <= slack else "inconsistent"
    yield SumCheck(name, row, column, kind, printed, computed, finding)


def bold_checks(name: str, table: Table) -> Iterator[BoldCheck]:
    """Checks the columns in which anything is bold, or whose best figure ``best`` says should be."""
    for column in table.columns:
        bold = tuple(row for row, content in table.rows.items() if column in content.bold)
        figures = {row: Decimal(cell) for row in table.rows if (cell := table.cell(row, column)) is not None}
        if figures and (bold or column in table.best):
            top = (min if table.best.get(column) == "min" else max)(figures.values())
            yield BoldCheck(name, column, bold, tuple(row for row, figure in figures.items() if figure == top))


def half_unit(figure: str) -> Fraction:
    """Half a unit of the last printed digit."""
    return Fraction(1, 2 * 10 ** decimals(figure))


def round_decimal(value: Fraction, digits: int, rule: Rounding) -> Fraction:
    """Rounds an exact value to decimals; ties and truncation are symmetric about zero."""
    scaled = abs(value) * 10**digits
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    if rule != "truncate":
        tie = 2 * rest == scaled.denominator
        whole += 2 * rest > scaled.denominator or (tie and (rule == "half-up" or whole % 2 == 1))
    return Fraction(whole, 10**digits) * (-1 if value < 0 else 1)
