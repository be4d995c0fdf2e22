"""Exact and near duplicates, and contamination with evaluation problems."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.card import load_card
from harness.errors import UsageError
from harness.problems import load_problems
from reference_trainer.curate.decontaminate import decontaminate, load_evaluation
from reference_trainer.curate.deduplicate import deduplicate_exactly, deduplicate_nearly
from reference_trainer.curate.recipe import Columns, Decontaminate, Deduplicate
from reference_trainer.tasks import DOMAINS, problem_set
from reference_trainer.tasks.files import problem_row

LONG = (
    "A train leaves the station at noon and travels north at 60 miles an hour while a second train leaves the same "
    "station an hour later and travels in the same direction at 80 miles an hour; after how many hours does the second "
    "train catch up with the first?"
)


def rows(*questions: str, answers: tuple[str, ...] = ()) -> list[dict[str, str]]:
    return [
        {"id": str(number), "question": question, "answer": answers[number] if answers else "3"}
        for number, question in enumerate(questions)
    ]


def reasons(decisions):
    return [decision.reason for decision in decisions]


def near(*questions: str, answers: tuple[str, ...] = (), **settings) -> list[str | None]:
    return reasons(deduplicate_nearly(rows(*questions, answers=answers), Deduplicate(**settings)))


def test_white_space_and_encoding_do_not_make_a_new_question():
    found = list(deduplicate_exactly(rows("Find  x²\n", "Find x\u00b2", "Find x2", "Find X2")))
    assert reasons(found) == [None, "exact_duplicate", "exact_duplicate", None]
    assert found[1].evidence == {"of": "0"}


def test_equal_questions_with_different_answers_all_go():
    found = deduplicate_exactly(rows("Find x", "Find y", "Find  x", answers=("1", "2", "3")))
    assert reasons(found) == ["conflicting_answers", None, "conflicting_answers"]


def test_a_reworded_question_is_a_near_duplicate():
    assert near(LONG, LONG.replace("a second train", "another train"), "Something else entirely") == [
        None,
        "near_duplicate",
        None,
    ]


def test_other_numbers_or_another_answer_are_another_problem():
    assert near(LONG, LONG.replace("80", "90")) == [None, None]
    assert near(LONG, LONG.replace("second", "other"), answers=("3", "4")) == [None, None]


def test_the_threshold_is_the_true_similarity():
    question = LONG.replace("a second train", "another train")
    found = list(deduplicate_nearly(rows(LONG, question), Deduplicate(threshold=0.5)))
    jaccard = found[1].evidence["jaccard"]
    one, other = ({text.casefold()[i : i + 5] for i in range(len(text) - 4)} for text in (LONG, question))
    assert jaccard == pytest.approx(len(one & other) / len(one | other), abs=1e-4)
    assert near(LONG, question, threshold=jaccard + 0.001) == [None, None]


@given(st.sampled_from(DOMAINS), st.integers(0, 99))
def test_different_toy_problems_are_never_duplicates(domain, seed):
    problems = [problem_row(problem) for problem in problem_set(domain, "train", 30, seed)]
    assert set(reasons(deduplicate_exactly(problems))) == {None}
    assert set(reasons(deduplicate_nearly(problems, Deduplicate(threshold=0.9)))) == {None}


def evaluation_file(folder: Path, *questions: str) -> Decontaminate:
    path = folder / "evaluation.jsonl"
    path.write_text("".join(json.dumps({"id": f"e{i}", "question": q}) + "\n" for i, q in enumerate(questions)))
    return Decontaminate(files=(path,))


def test_a_shared_ngram_is_found_and_named_by_id(tmp_path: Path):
    settings = evaluation_file(tmp_path, "Nothing in common here at all", LONG)
    evaluation = load_evaluation(settings, Columns())
    part = " ".join(LONG.split()[4:20])
    found = list(decontaminate(rows(f"Consider: {part.upper()}, and so on.", "A clean one"), evaluation, settings))
    assert reasons(found) == ["contaminated", None]
    assert found[0].evidence["hits"] == [{"benchmark": "evaluation.jsonl", "problem": "e1", "ngrams": 4}]
    assert part.split()[3] not in json.dumps(found[0].evidence)


def test_twelve_words_in_common_are_not_enough_and_min_ngrams_counts(tmp_path: Path):
    settings = evaluation_file(tmp_path, LONG)
    evaluation = load_evaluation(settings, Columns())
    twelve, fourteen = (" ".join(LONG.split()[:count]) for count in (12, 14))
    assert reasons(decontaminate(rows(twelve, fourteen), evaluation, settings)) == [None, "contaminated"]
    strict = settings.model_copy(update={"min_ngrams": 3})
    assert reasons(decontaminate(rows(fourteen, LONG), evaluation, strict)) == [None, "contaminated"]


def test_short_problems_count_when_they_are_equal(tmp_path: Path):
    settings = evaluation_file(tmp_path, "3+4=?")
    evaluation = load_evaluation(settings, Columns())
    found = decontaminate(rows("3 + 4 = ?", "2*3+4=?", "3-4=?"), evaluation, settings)
    assert reasons(found) == ["contaminated", None, None]


def test_nothing_to_compare_with_is_refused():
    with pytest.raises(UsageError, match="names neither benchmarks nor files"):
        load_evaluation(Decontaminate(), Columns())
    with pytest.raises(UsageError, match="unknown benchmark 'aime42'"):
        load_evaluation(Decontaminate(benchmarks=("aime42",)), Columns())


def test_leaks_of_real_benchmarks_are_found():
    data = os.environ.get("RINGLITE_DATA")
    if not data:
        pytest.skip("needs the benchmarks' rows: RINGLITE_DATA is not set")
    settings = Decontaminate(benchmarks=("aime24", "math500"))
    evaluation = load_evaluation(settings, Columns(), Path(data))
    problems = load_problems(load_card("aime24"), Path(data))
    leaked = [{"id": p.id, "question": f"Here is one. {p.prompt} Good luck!", "answer": "1"} for p in problems]
    found = list(decontaminate(leaked + rows(LONG), evaluation, settings))
    assert reasons(found) == ["contaminated"] * 30 + [None]
    for problem, decision in zip(problems, found, strict=False):
        assert {"aime24": problem.id} in [{hit["benchmark"]: hit["problem"]} for hit in decision.evidence["hits"]]
        assert problem.prompt[:40] not in json.dumps(decision.evidence)
