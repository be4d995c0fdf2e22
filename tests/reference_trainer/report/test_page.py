"""The training report in a real headless Chromium: from disk, with the network off."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reference_trainer.gates.record import Check, Judgement, write_record
from reference_trainer.metrics import read_rows
from reference_trainer.report import write_report
from tests.browser import Opened, needs_chromium, started

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from started()


class Report(Opened):
    """What these tests ask of a page."""

    def panel(self, stage: str, title: str) -> Any:
        """The figure of a stage by the beginning of its title."""
        return self.page.locator(f"#stage-{stage} .panel", has=self.page.locator("h4", has_text=title)).first

    def values(self, stage: str, title: str) -> list[list[str]]:
        """The table of a figure, without its head."""
        rows = self.panel(stage, title).locator("details tbody tr")
        return [row.locator("td").all_text_contents() for row in rows.all()]


Open = Callable[..., Report]


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    opened: list[Report] = []

    def go(path: Path, size: str = "wide", scheme: str = "light") -> Report:
        opened.append(Report(browser, path, size, scheme))
        return opened[-1]

    yield go
    for one in opened:
        one.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_opens_without_a_complaint_and_fits(finished: Path, visit: Open, size: str, scheme: str) -> None:
    page_file = write_report(finished)
    opened = visit(page_file, size, scheme)
    assert opened.complaints == []
    assert opened.requests == [page_file.as_uri()]
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    colour = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(17, 19, 24)") == (scheme == "dark")
    opened.page.click("#theme")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") != colour


def test_the_first_screen_says_what_and_how_far(finished: Path, visit: Open) -> None:
    opened = visit(write_report(finished))
    text = opened.page.inner_text("#summary")
    assert "9 of 9 stages are done; no gate has judged them" in text
    for part in ("seed 0", "torch threads 1", "fresh weights", "c3po-code-science", "torch 2."):
        assert part in text
    rows = opened.page.locator("#summary tbody tr").all()
    assert [row.locator("a").text_content() for row in rows] == [
        *("data", "base", "distill", "select", "curate", "c3po-math", "grpo-math", "c3po-code-science", "general")
    ]
    assert all("✓ done" in row.inner_text() for row in rows)
    for link in opened.page.locator("#summary tbody a").all():
        assert opened.page.locator(link.get_attribute("href")).count() == 1


def test_figures_are_those_of_the_files_with_c3po_beside_grpo(finished: Path, visit: Open) -> None:
    opened = visit(write_report(finished))
    c3po, grpo = (read_rows(finished / name / "metrics.jsonl") for name in ("c3po-math", "grpo-math"))
    for title, name in (
        ("Reward", "reward"),
        ("Entropy, nats", "entropy"),
        ("Response length", "response_length"),
        ("Gradient norm", "gradient_norm"),
        ("Tokens generated a step", "tokens_generated"),
        ("Tokens trained", "tokens_trained"),
        ("Clipped tokens", "clip_share"),
        ("KL to", "kl"),
        ("Log-prob mismatch", "logprob_mismatch"),
    ):
        found = [[float(cell) for cell in row] for row in opened.values("c3po-math", title)]
        expected = [[a["step"], a[name], b[name]] for a, b in zip(c3po, grpo, strict=True)]
        assert found == [pytest.approx(row, rel=1e-3, abs=1e-12) for row in expected], title
        assert opened.panel("c3po-math", title).locator("svg[role=img] polyline").count() == 2, title
    assert "Φ: 60 tokens" in opened.panel("c3po-math", "Tokens trained").inner_text()
    timings = read_rows(finished / "c3po-math" / "timings.jsonl")
    seconds = [float(row[1]) for row in opened.values("c3po-math", "Seconds a step")]
    assert seconds == pytest.approx([row["seconds"] for row in timings], rel=1e-3)
    loss = [float(row[1]) for row in opened.values("distill", "Loss")]
    expected_loss = [row["policy_loss"] for row in read_rows(finished / "distill" / "metrics.jsonl")]
    assert loss == pytest.approx(expected_loss, rel=1e-3)


def test_expert_load_of_every_layer_and_expert(finished: Path, visit: Open) -> None:
    opened = visit(write_report(finished))
    rows = opened.values("general", "Expert load")
    metrics = read_rows(finished / "general" / "metrics.jsonl")
    assert [row[0] for row in rows] == [f"layer {i}, expert {j}" for i in (1, 2) for j in (1, 2, 3, 4)]
    first = [4 * load for layer in metrics[0]["expert_load"] for load in layer]
    assert [float(row[1]) for row in rows] == pytest.approx(first, rel=1e-3, abs=1e-9)


def test_counts_and_choice(finished: Path, visit: Open) -> None:
    opened = visit(write_report(finished))
    report = json.loads((finished / "curate" / "report.json").read_text())
    rows = opened.page.locator("#stage-curate .columns > div:first-child tbody tr").all()
    found = [row.locator("td").all_text_contents()[1:3] for row in rows]
    assert found == [[str(phase["in"]), str(phase["kept"])] for phase in report["phases"]]
    selection = json.loads((finished / "select" / "selection.json").read_text())
    assert f"Epoch {selection['chosen']['epoch']} was chosen" in opened.page.inner_text("#stage-select")
    entropies = [float(row[1]) for row in opened.values("select", "Entropy")]
    assert entropies == pytest.approx([c["entropy"] for c in selection["candidates"]], rel=1e-3)
    picture = opened.panel("select", "Entropy").locator("svg[role=img]")
    assert picture.locator(".margin").count() == 1
    assert picture.locator(".mark").count() == 1


def test_every_picture_has_a_name_and_its_figures_as_a_table(finished: Path, visit: Open) -> None:
    opened = visit(write_report(finished))
    pictures = opened.page.locator("svg[role=img]").all()
    assert len(pictures) > 50
    assert all(len(picture.get_attribute("aria-label")) > 4 for picture in pictures)
    panels = opened.page.locator(".panel")
    assert opened.page.locator(".panel details table tbody").count() == panels.count() > 50
    assert all(s.get_attribute("aria-hidden") == "true" for s in opened.page.locator("svg:not([role=img])").all())


def test_a_run_that_was_killed(copy, visit: Open) -> None:
    folder = copy(drop=("c3po-math/manifest.json", "c3po-math/checkpoint", "grpo-math", "c3po-code-science", "general"))
    metrics = folder / "c3po-math" / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:-30])
    opened = visit(write_report(folder))
    text = opened.page.inner_text("#summary")
    assert "5 of 9 stages are done" in text
    assert "not finished" in text
    rows = {row.locator("b").inner_text(): row.inner_text() for row in opened.page.locator("#summary tbody tr").all()}
    assert "unfinished" in rows["c3po-math"]
    assert "not started" in rows["general"]
    assert len(opened.values("c3po-math", "Reward")) == 3
    assert opened.page.locator("#stage-general").count() == 0
    assert opened.complaints == []


def judge(folder: Path, *checks: Check, scores: dict[str, Any] | None = None) -> Path:
    manifest = json.loads((folder / "manifest.json").read_text())
    facts = {"gates": {}, "outputs": manifest["outputs"]}
    write_record(folder, Judgement(checks, "the baseline of 3 May", scores or {}), facts)
    return folder / "gate.json"


def score(value: float) -> dict[str, Any]:
    figures = {"score": value, "se": 0.01, "low": value - 0.02, "high": value + 0.02}
    return {**figures, "problems": 200, "samples": 400, "truncated": 0.05, "mean_tokens": 17.5}


def test_gates_and_their_scores(copy, visit: Open) -> None:
    folder = copy()
    judge(folder / "distill", Check("metrics.steps", True, 10, "steps 1 to 10"), scores={"math": score(0.4)})
    checks = Check("metrics.finite", True, 0, "no gap"), Check("budget", False, 61, "at most 60", "look at Eq. 3")
    judge(folder / "c3po-math", *checks, scores={"math": score(0.965), "code": score(0.5)})
    opened = visit(write_report(folder))
    summary = opened.page.inner_text("#summary")
    assert "the gate of c3po-math is red" in summary
    assert "96.50 %" in summary
    assert "math, 95 %: 94.50 to 98.50" in summary
    assert "✓ green" in opened.page.inner_text("#stage-distill .gate")
    gate = opened.page.locator("#stage-c3po-math .gate")
    assert "2 checks, 1 failed; scores: the baseline of 3 May." in gate.inner_text()
    held_out = [row.locator("td").all_inner_texts() for row in gate.locator("> .scroll tbody tr").all()]
    assert held_out[1] == ["math", "96.50\n94.50 to 98.50", "1.00", "200", "400", "5.0 %", "18"]
    first = gate.locator(".checks tbody tr").first  # the failed one, shown without a click
    assert first.is_visible()
    assert first.locator("td").all_inner_texts() == ["✗ failed budget\nlook at Eq. 3", "61", "at most 60"]
    table = opened.page.locator("#scores tbody tr").all()
    cells = [re.split(r"\s+", row.inner_text()) for row in table]
    assert [row[:2] for row in cells] == [["distill", "—"], ["c3po-math", "50.00"]]


def test_a_gate_that_does_not_count_is_not_shown_as_green(copy, visit: Open) -> None:
    folder = copy()
    edited = judge(folder / "distill", Check("a", True, 1, "one"))
    edited.write_text(edited.read_text().replace('"one"', '"two"'))
    judge(folder / "select", Check("a", True, 1, "one"))
    manifest = json.loads((folder / "select" / "manifest.json").read_text())
    manifest["outputs"] = {"other": "0"}
    (folder / "select" / "manifest.json").write_text(json.dumps(manifest))
    opened = visit(write_report(folder))
    assert "gate.json was changed after it was written" in opened.page.inner_text("#stage-distill .guard")
    assert "outdated" in opened.page.inner_text("#stage-select .gate")
    assert "green" not in opened.page.inner_text("main")


HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\"'&amp;<!--"


def test_hostile_texts_stay_texts(copy, visit: Open) -> None:
    folder = copy()
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "name": HOSTILE}))
    checks = [Check(HOSTILE, ok, HOSTILE, HOSTILE, HOSTILE) for ok in (True, False)]
    judge(folder / "general", *checks, scores={HOSTILE: score(0.5)})
    selection = folder / "select" / "selection.json"
    content = json.loads(selection.read_text())
    for candidate in content["candidates"]:
        candidate["pass_rates"][HOSTILE] = 0.5
    selection.write_text(json.dumps(content))
    report = folder / "curate" / "report.json"
    curated = json.loads(report.read_text())
    curated["phases"][0] |= {"phase": HOSTILE, "dropped": {HOSTILE: 3}}
    report.write_text(json.dumps(curated))
    opened = visit(write_report(folder))
    assert opened.complaints == []
    assert opened.page.locator("img").count() == 0
    assert opened.page.inner_text("h1") == f"{HOSTILE}, seed 0"
    assert opened.page.title() == f"{HOSTILE}, seed 0 · ringlite train"
    for place in ("#stage-general .checks", "#stage-select", "#stage-curate", "#scores"):
        assert HOSTILE in opened.page.inner_text(place), place
