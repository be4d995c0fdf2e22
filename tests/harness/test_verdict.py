"""Protocol diff, verdict and summary, apart from run folders."""

import math
from dataclasses import replace

import pytest

from harness.card import load_card
from harness.errors import UsageError
from harness.published import Published
from harness.scoring import score_run
from harness.scoring_types import Score
from harness.types import Grade, Sample
from harness.verdict import decide, summarise
from harness.verdict_protocol import against_published, against_run, check_accept, published_protocol, run_protocol

CARD = load_card("aime24")


def make_score(right: float, problems: int = 30, n: int = 64) -> Score:
    """A score of exactly ``right``: every problem right equally often (but for rounding)."""
    total = round(right * problems * n)
    counts = [total // problems + (i < total % problems) for i in range(problems)]
    samples = [Sample("t", "aime24", f"p{i}", k, k, f"{i} {k}", "stop") for i in range(problems) for k in range(n)]
    grades = [Grade("t", "aime24", f"p{i}", k, "m", k < counts[i], "ok") for i in range(problems) for k in range(n)]
    return score_run(samples, grades, benchmark="aime24", task="t", scorer="m")


def number(text: str = "76.61", samples: int | None = 64, **options) -> Published:
    return Published("aime24", "Ring-lite", text, "Table 1", 30, samples, "stated", **options)


def test_the_formula_of_the_specification() -> None:
    score = make_score(0.75)
    found = decide(score, number(), 4.0, [], 1.0)
    v = 1e4 * score.variance
    se = math.sqrt(v / 1920 + v / 1920 + 0.005**2 / 3)
    assert found.se == pytest.approx(se)
    assert found.difference == pytest.approx(75 - 76.61)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (found.difference - 1.644854 * se, found.difference + 1.644854 * se)
    )
    assert found.outcome == "reproduced"


@pytest.mark.parametrize(
    ("right", "outcome", "zero_excluded"),
    [
        (0.7661, "reproduced", False),
        (0.60, "not reproduced", True),
        (0.95, "not reproduced", True),
        (0.72, "inconclusive", True),
    ],
)
def test_outcomes(right: float, outcome: str, zero_excluded: bool) -> None:
    found = decide(make_score(right), number(), 4.0, [], 1.0)
    assert found.outcome == outcome
    assert found.zero_excluded is zero_excluded
    assert (found.p_equivalent < 0.05) == (outcome == "reproduced")


def test_undecidable_says_so() -> None:
    found = decide(make_score(0.7661, n=8), number(samples=None), 4.0, [], 1.0)
    assert found.outcome == "inconclusive"
    assert found.published_samples == 1
    assert math.isinf(found.more_samples)
    assert "undecidable at a margin of 4" in found.advice
    assert found.smallest_margin > 4


def test_more_samples_settle_it() -> None:
    short = decide(make_score(0.7661, n=12), number(), 4.0, [], 1.0)
    assert short.outcome == "inconclusive"
    enough = decide(make_score(0.7661, n=12 + int(short.more_samples)), number(), 4.0, [], 1.0)
    assert enough.outcome == "reproduced"


def test_a_difference_at_the_margin_is_never_settled() -> None:
    found = decide(make_score(0.7261, n=256), number(), 4.0, [], 1.0)
    assert found.outcome == "inconclusive"
    assert "too near the margin" in found.advice


def test_greedy_repeats_are_one_sample() -> None:
    found = decide(make_score(0.7661), number(), 4.0, [], 0.0)
    assert found.outcome == "not comparable"
    assert "temperature 0" in found.reason


def test_missing_problems_block() -> None:
    score = replace(make_score(0.7661, problems=28), expected_problems=30)
    found = decide(score, number(), 4.0, [], 1.0, accept=["problems"])
    assert found.outcome == "not comparable"
    assert "2 of 30 problems have no graded sample" in found.reason


def test_holm_over_rows() -> None:
    sure = decide(make_score(0.7661, n=64), number(), 4.0, [], 1.0)
    barely = replace(sure, p_equivalent=0.04)
    assert summarise([barely]).outcome == "reproduced"
    summary = summarise([barely, replace(barely, p_equivalent=0.03)])
    assert summary.outcome == "inconclusive"
    assert summary.line.startswith("0 reproduced, 0 not reproduced, 2 inconclusive of 2")
    refuted = replace(sure, p_equivalent=1.0, p_different=1e-6)
    assert summarise([sure, refuted]).outcome == "not reproduced"
    nothing = replace(sure, p_equivalent=math.nan, p_different=math.nan)
    assert summarise([nothing]).outcome == "not comparable"
    assert "1 not comparable of 2" in summarise([sure, nothing]).line


MANIFEST = {
    "model": {"name": "m", "chat_template_hash": "aa00"},
    "engine": {"name": "vllm", "version": "1", "dtype": "bfloat16", "quantization": None},
    "tasks": {
        "t": {
            "benchmark": "aime24",
            "data": {"hash": CARD.content_hash, "window": None},
            "prompt": {"style": "chat", "template": CARD.prompt.template, "system": None, "rendered_hash": "x"},
            "sampling": {"temperature": 1.0, "top_p": 0.95, "top_k": 0, "max_tokens": 32768, "stop": []},
            "extent": {"n": 4, "limit": None, "num_problems": 30, "total_problems": 30},
            "scorers": {"math-verify": {"math-verify": "0.9.0"}},
        }
    },
}
PAPER = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 32768, "shots": 0, "scorer": "math-verify", "prompt": "card"}


def blocking(ours: dict, stated: dict, accept: tuple[str, ...] = ()) -> list[str]:
    theirs = published_protocol(number(protocol=stated), CARD)
    return [item.field for item in against_published(ours, theirs, accept) if item.blocks]


def test_the_papers_protocol_is_the_default() -> None:
    ours = run_protocol(MANIFEST, "t", "math-verify")
    assert blocking(ours, PAPER) == []
    states = {
        item.field: item.state for item in against_published(ours, published_protocol(number(protocol=PAPER), CARD))
    }
    assert states["temperature"] == "same"
    assert states["engine"] == states["chat_template"] == "not stated"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0.6),
        ("top_p", 1.0),
        ("max_tokens", None),
        ("max_tokens", 4096),
        ("prompt", "Solve: {question}"),
        ("system_prompt", "You are helpful."),
        ("prompt_style", "completion"),
        ("data", "sha256:other"),
        ("problems", 29),
        ("scorer", "strict"),
        ("shots", 4),
    ],
)
def test_every_stated_field_matters(field: str, value: object) -> None:
    ours = {**run_protocol(MANIFEST, "t", "math-verify"), field: value}
    assert blocking(ours, PAPER) == [field]
    assert blocking(ours, PAPER, (field,)) == ([field] if field == "problems" else [])


def test_a_stated_chat_template_is_compared() -> None:
    ours = run_protocol(MANIFEST, "t", "math-verify")
    assert blocking(ours, {"chat_template": "bb11"}) == ["chat_template"]
    assert blocking(ours, {"chat_template": "aa00"}) == []


def test_unknown_is_not_the_same_as_equal() -> None:
    manifest = {**MANIFEST, "tasks": {"t": {**MANIFEST["tasks"]["t"], "sampling": None}}}
    ours = run_protocol(manifest, "t", "math-verify")
    assert blocking(ours, PAPER) == ["temperature", "top_p", "max_tokens"]
    found = against_published(ours, published_protocol(number(protocol=PAPER), CARD))
    assert next(str(item) for item in found if item.field == "temperature").startswith("temperature not recorded")


@pytest.mark.parametrize(
    ("part", "value", "field"),
    [
        ("model", {"name": "m", "chat_template_hash": "bb11"}, "chat_template"),
        ("engine", {"name": "transformers", "version": "1", "dtype": "bfloat16", "quantization": None}, "engine"),
        ("engine", {"name": "vllm", "version": "1", "dtype": "bfloat16", "quantization": "fp8"}, "engine.quantization"),
    ],
)
def test_runs_must_agree_in_everything_but_the_model(part: str, value: dict, field: str) -> None:
    base = run_protocol(MANIFEST, "t", "math-verify")
    other = run_protocol({**MANIFEST, part: value}, "t", "math-verify")
    assert [item.field for item in against_run(other, base) if item.blocks] == [field]
    renamed = run_protocol({**MANIFEST, "model": {"name": "z", "chat_template_hash": "aa00"}}, "t", "math-verify")
    assert not any(item.blocks for item in against_run(renamed, base))


def test_accept_knows_its_names() -> None:
    check_accept(["top_k"], ["top_k"])
    with pytest.raises(UsageError, match="did you mean 'top_k'"):
        check_accept(["topk"], ["top_k", "stop"])
    with pytest.raises(UsageError, match="other problems"):
        check_accept(["problems"], ["problems"])
