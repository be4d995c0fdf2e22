"""A run folder -> scores -> verdicts -> results.json."""

import json
import math
from pathlib import Path

import pytest

from harness.card import load_card
from harness.errors import UsageError
from harness.scoring_results import Results, evaluate, results_json, write_results
from harness.store import read_grades
from harness.verdict import Verdict


def verdict(results: Results) -> Verdict:
    found = results.rows[0].verdict
    assert found is not None
    return found


def test_scores_are_those_of_the_grades(make_run) -> None:
    folder = make_run(n=4)
    score = evaluate(folder).rows[0].score
    grades = [grade for grade in read_grades(folder) if grade.scorer == "math-verify"]
    assert score.score == pytest.approx(sum(grade.correct for grade in grades) / len(grades))
    assert (score.problems, score.samples, score.fewest, score.most) == (30, 120, 4, 4)
    assert score.scorer == "math-verify"
    strict = score.others[0]
    assert strict.scorer == "strict"
    assert strict.disagreements == strict.only_main > 0
    assert [group.value for group in score.groups["contest"]] == ["I", "II"]
    assert sum(group.problems for group in score.groups["level"]) == 30
    assert score.tokens.total == sum(100 + i + k for i in range(30) for k in range(4))


def test_a_run_that_matches_is_reproduced(make_run) -> None:
    # 30 problems x 64: 23 always right or nearly so, about 76.6 in all.
    folder = make_run(n=64, solve=lambda i: 0.98 if i < 20 else 0.34)
    found = verdict(evaluate(folder))
    assert found.outcome == "reproduced"
    assert abs(found.difference) < 4
    assert "lies inside the margin" in found.reason
    assert found.published_samples == 64
    assert found.more_samples == 0


def test_a_run_that_is_far_off_is_not(make_run) -> None:
    found = verdict(evaluate(make_run(n=16, solve=lambda i: 0.4)))
    assert found.outcome == "not reproduced"
    assert "lower than published" in found.reason


def test_a_short_run_says_how_many_more(make_run) -> None:
    found = verdict(evaluate(make_run(n=4, solve=lambda i: 0.75)))
    assert found.outcome == "inconclusive"
    assert found.more_samples > 0
    assert f"{found.more_samples:.0f} more samples per problem" in found.advice


def test_an_unknown_m_is_undecidable(make_run) -> None:
    folder = make_run(n=16, solve=lambda i: 0.75)
    found = verdict(evaluate(folder, against="qwen3-8b-thinking"))  # 76.00 is quoted from elsewhere
    assert found.published.quoted
    assert found.published_samples == 1
    assert found.outcome in ("inconclusive", "not comparable")
    if found.outcome == "inconclusive":
        assert math.isinf(found.more_samples)
        assert "undecidable" in found.advice


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"limit": 4}, "limit 4 here, none there"),
        ({"params": {"max_tokens": 512}}, "max_tokens"),
        ({"params": {"temperature": 0.6}}, "temperature"),
        ({"params": {"top_p": 1.0}}, "top_p"),
        ({"content_hash": "sha256:" + "0" * 64}, "data"),
    ],
)
def test_another_protocol_is_not_comparable(make_run, options: dict, field: str) -> None:
    found = verdict(evaluate(make_run(**options)))
    assert found.outcome == "not comparable"
    blocking = [item.field for item in found.protocol if item.blocks]
    assert field.split()[0] in blocking
    assert field in found.reason


def test_accepted_differences_are_on_the_record(make_run) -> None:
    folder = make_run(n=32, params={"max_tokens": 512}, solve=lambda i: 0.98 if i < 20 else 0.34)
    found = verdict(evaluate(folder, accept=["max_tokens"]))
    assert found.outcome != "not comparable"
    assert found.accepted == ("max_tokens",)
    assert "max_tokens" in results_json(evaluate(folder, accept=["max_tokens"]))["accepted"]


@pytest.mark.parametrize(
    ("name", "message"), [("problems", "other problems"), ("max_token", "did you mean 'max_tokens'")]
)
def test_some_names_cannot_be_accepted(make_run, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate(make_run(), accept=[name])


def guard_names(found: Verdict) -> list[str]:
    return [guard.name for guard in found.guards]


def test_equal_samples_of_every_problem_are_blocked(make_run) -> None:
    folder = make_run(n=8, respond=lambda i, k, answer: f"{i} " * 300 + "\\boxed{1}")
    found = verdict(evaluate(folder))
    assert found.outcome == "not comparable"
    assert guard_names(found) == ["temperature"]
    assert "temperature was not applied" in found.reason


def test_equal_samples_of_one_problem_are_blocked(make_run) -> None:
    folder = make_run(n=8, respond=lambda i, k, answer: f"{i} {k if i else 0} " * 100 + "\\boxed{1}")
    found = verdict(evaluate(folder))
    assert found.outcome == "not comparable"
    assert guard_names(found) == ["identical_samples"]
    assert "1 of 30 problems" in found.reason


def test_a_cache_that_repeats_a_few_texts_is_blocked(make_run) -> None:
    folder = make_run(n=8, respond=lambda i, k, answer: f"{i} {k % 3} " * 100 + "\\boxed{1}")
    assert guard_names(verdict(evaluate(folder))) == ["identical_samples"]


def test_short_answers_may_repeat(make_run) -> None:
    folder = make_run(n=8, respond=lambda i, k, answer: f"\\boxed{{{answer}}}")
    assert guard_names(verdict(evaluate(folder))) == []


def test_thirty_per_cent_truncated_is_blocked_and_the_rest_is_shown(make_run) -> None:
    folder = make_run(n=10, truncated=lambda i, k: k < 3, solve=lambda i: 1.0)
    results = evaluate(folder)
    found = verdict(results)
    assert found.outcome == "not comparable"
    assert guard_names(found) == ["truncated"]
    assert "30.0% of the answers were cut" in found.reason
    score = results.rows[0].score
    assert (score.score, score.finished_score, score.shares.truncated) == pytest.approx((0.7, 1.0, 0.3))


def test_results_json_is_strict_and_the_same_every_time(make_run) -> None:
    folder = make_run(n=1, strict=False, tokens=lambda i, k: None)
    first = write_results(evaluate(folder)).read_bytes()
    assert write_results(evaluate(folder)).read_bytes() == first

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    content = json.loads(first, parse_constant=refuse)
    assert content["schema_version"] == 1
    assert content["benchmarks"][0]["tokens"]["mean"] is None
    assert content["benchmarks"][0]["verdict"]["published"]["printed"] == "76.61"


def test_a_folder_without_grades_is_scored_as_nothing(make_run) -> None:
    folder = make_run()
    (folder / "grades.jsonl").unlink()
    results = evaluate(folder)
    assert math.isnan(results.rows[0].score.score)
    assert results.rows[0].score.ungraded == 120
    assert verdict(results).reason == "there is no graded sample"


def test_a_folder_without_problems_goes_without_their_parts(make_run) -> None:
    folder = make_run()
    (folder / "problems.jsonl").unlink()
    score = evaluate(folder).rows[0].score
    assert score.groups == {}
    assert score.problems == 30
    (folder / "problems.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match="line 1, is not a problem"):
        evaluate(folder)


def test_the_files_of_a_run_are_data_sets(make_run, tmp_path: Path) -> None:
    from datasets import load_dataset

    folder = make_run(n=1)
    for name, rows in (("problems", 30), ("samples", 30), ("grades", 60)):
        data = load_dataset(
            "json", data_files=str(folder / f"{name}.jsonl"), cache_dir=str(tmp_path / name), split="train"
        )
        assert len(data) == rows
        assert data[0]["schema_version"] == 1


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run folder"):
        evaluate(tmp_path)


def test_protected_text_stays_out_of_the_folder(make_run) -> None:
    folder = make_run(benchmark="gpqa_diamond", n=1)
    text = (folder / "problems.jsonl").read_text()
    assert "What is" not in text
    assert load_card("gpqa_diamond").hub[0].gated
