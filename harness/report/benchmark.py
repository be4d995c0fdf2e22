"""Everything the page says of one benchmark."""

import math
from collections.abc import Sequence
from html import escape

from harness.report.index import Texts
from harness.report.markup import badge, legend, table, tiles
from harness.report.sections import sentence
from harness.report.svg import share_histogram, stacked_histogram
from harness.report.wording import number, points, share
from harness.scoring_breakdown import Group
from harness.scoring_results import Row
from harness.scoring_types import ProblemScore, Score
from harness.verdict_guards import Guard
from harness.verdict_protocol import FIELDS, FieldComparison, show

MANY_PROBLEMS = 260


def benchmark_section(place: int, row: Row, texts: Texts) -> str:
    """Verdict, guards, figures, problems, plots, graders, parts and protocol of the benchmark number ``place``."""
    score, verdict = row.score, row.verdict
    parts = [f'<div class="bench-head"><h2>{escape(row.title)}</h2>{badge(verdict.outcome) if verdict else ""}</div>']
    if verdict:
        parts += [f"<p>{escape(sentence(verdict))}</p>", *map(_guard, verdict.guards)]
    parts += [_tiles(score), "<h4>Problems</h4>", _strip(place, score), _plots(score, texts), _graders(score)]
    groups = [f"<div>{_group_table(name, part)}</div>" for name, part in score.groups.items()]
    parts += [f'<div class="columns">{"".join(groups)}</div>' if groups else ""]
    fields = verdict.protocol if verdict else _unstated(row)
    parts += ["<h4>Protocol</h4>", protocol_table(fields)]
    return f'<section class="card" id="bench-{place}">{"".join(parts)}</section>'


def _guard(guard: Guard) -> str:
    style, told = (" accepted", " (accepted)") if guard.accepted else ("", "")
    name = guard.name.replace("_", " ")
    return f'<div class="guard{style}"><b>{name}</b>{told}: {escape(guard.reason)}</div>'


def _tiles(score: Score) -> str:
    entries = [
        (points(score.score), f"avg@{score.most}"),
        (points(score.se_samp), "SE, new samples"),
        (points(score.se_total), "SE, new problems" + (f" ({score.clusters} clusters)" if score.clusters else "")),
        (points(score.finished_score), "of finished answers"),
        (share(score.shares.truncated), "truncated"),
        (share(score.shares.no_answer), "no answer"),
        (number(score.tokens.mean), "tokens on average"),
        (number(score.samples), "samples"),
    ]
    entries += [(points(value), f"pass@{k}") for k, value in score.pass_at_k.items() if k > 1][-3:]
    entries += [(points(v), f"G-Pass@{key.replace('@', ', τ = ')}") for key, v in score.g_pass.items() if "@0.5" in key]
    return tiles(entries)


def _strip(place: int, score: Score) -> str:
    buttons = "".join(_problem(place, i, problem) for i, problem in enumerate(score.per_problem))
    many = " many" if len(score.per_problem) > MANY_PROBLEMS else ""
    entries = (
        ("background:var(--good)", "always right"),
        ("background:var(--bad)", "never right"),
        ("", "amber foot: a quarter or more truncated"),
        ("", "choose a problem to read its samples"),
    )
    return f'<div class="strip{many}">{buttons}</div>{legend(entries)}'


def _problem(place: int, i: int, problem: ProblemScore) -> str:
    rate = 100 * problem.correct / problem.samples if problem.samples else 0
    told = f"{problem.id}: {problem.correct} of {problem.samples} right"
    told = escape(told + (f", {problem.truncated} truncated" if problem.truncated else ""))
    style = ' class="cut"' if problem.truncated * 4 >= problem.samples > 0 else ""
    where = f'data-bench="{place}" data-problem="{i}"'
    return f'<button type="button"{style} style="--p:{rate:.0f}" {where} title="{told}" aria-label="{told}"></button>'


def _plots(score: Score, texts: Texts) -> str:
    lengths = stacked_histogram(texts.lengths, texts.kinds, texts.unit) or '<p class="quiet">not known</p>'
    rates = share_histogram([_share(p.correct, p) for p in score.per_problem], "Solve rate of a problem, %")
    cuts = ""
    if score.shares.truncated > 0:
        cuts = share_histogram([_share(p.truncated, p) for p in score.per_problem], "Truncated share, %", "bar cut")
    colours = (
        ("background:var(--accent)", "right"),
        ("background:var(--bad)", "wrong"),
        ("background:var(--warn)", "truncated"),
    )
    return (
        f'<div class="columns"><div><h4>Response lengths</h4>{lengths}{legend(colours)}</div>'
        f"<div><h4>Problems by solve rate{' and truncation' if cuts else ''}</h4>{rates}{cuts}</div></div>"
    )


def _share(part: int, problem: ProblemScore) -> float:
    return part / problem.samples if problem.samples else math.nan


def _graders(score: Score) -> str:
    if not score.others:
        return ""
    head = ("Scorer", "avg@n", "Difference", "Only main accepts", "Only this accepts", "Samples")
    main = f'{escape(score.scorer)} <span class="quiet">(main)</span>'
    rows = [(main, points(score.score), "—", "—", "—", number(score.samples))]
    for other in score.others:
        difference = "—" if math.isnan(other.score) else f"{100 * (other.score - score.score):+.2f}"
        alone = (str(other.only_main), str(other.only_other))
        rows.append((escape(other.scorer), points(other.score), difference, *alone, number(other.samples)))
    return f"<h4>Graders</h4>{table(head, rows)}"


def _group_table(name: str, groups: Sequence[Group]) -> str:
    rows = [
        (escape(g.value), str(g.problems), f"<b>{points(g.score)}</b>", points(g.se_samp), points(g.se_total))
        for g in groups
    ]
    head = ("", "Problems", "avg@n", "SE samp", "SE total")
    return f"<h4>By {escape(name.replace('_', ' '))}</h4>{table(head, rows)}"


def _unstated(row: Row) -> list[FieldComparison]:
    return [FieldComparison(name, value, None, "not stated") for name, value in row.protocol.items()]


def protocol_table(fields: Sequence[FieldComparison], theirs: str = "Published") -> str:
    """The protocol field by field: differences first, the rest folded away."""
    loud = [item for item in fields if item.state in ("differs", "not recorded")]
    calm = [item for item in fields if item.state not in ("differs", "not recorded")]
    text = _fields(loud, theirs) if loud else '<p class="quiet">No field that the other side states differs.</p>'
    if calm:
        text += (
            f"<details><summary>{len(calm)} fields: the same, or not stated</summary>{_fields(calm, theirs)}</details>"
        )
    return text


def _fields(items: Sequence[FieldComparison], theirs: str) -> str:
    rows, styles = [], []
    for item in items:
        stated = "—" if item.state == "not stated" else escape(show(item.theirs, 300))
        name = f'<b title="{escape(FIELDS.get(item.field, ""))}">{escape(item.field)}</b>'
        told = "accepted by the user" if item.accepted else item.state
        rows.append((name, f"<code>{escape(show(item.ours, 300))}</code>", f"<code>{stated}</code>", told))
        styles.append(f"field-{'accepted' if item.accepted else item.state.replace(' ', '-')}")
    return table(("Field", "Ours", escape(theirs), "State"), rows, numeric=9, classes=styles)
