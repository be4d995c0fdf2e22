"""One set of stored completions, scored through lm-eval itself and through ``ringlite score``: the same figures."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from harness.card import Card, card_names, load_card
from harness.errors import UsageError
from harness.problems import LoadOptions, load_problems
from harness.types import Problem, Sample

LIMIT, N = 3, 3
LARGEST = 238
MADE_UP = ("cnmo24", "livemathbench")  # gated on the hub; conftest.py makes rows of their schema
FOLDER = Path(__file__).parents[3] / "benchmarks" / "lm_eval"


class Stored(LM):
    """An lm-eval model that returns what is stored, in the order of the samples."""

    def __init__(self, responses: dict[str, list[str]]) -> None:
        super().__init__()
        self._responses, self._next = responses, defaultdict[str, int](int)

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        answers = []
        for request in requests:
            # lm-eval puts a system message in front of the prompt where there is no chat template.
            prompt = next(known for known in self._responses if request.args[0].endswith(known))
            answers.append(self._responses[prompt][self._next[prompt]])
            self._next[prompt] += 1
        return answers

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
        raise AssertionError("our tasks generate")

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> Any:
        raise AssertionError("our tasks generate")


def right_answer(card: Card, problem: Problem) -> str:
    gold = problem.gold
    if card.name in MADE_UP:
        # Another spelling of the same value, in the sentence that a model ends with.
        text = gold.strip("$").replace("\\frac", "\\dfrac").replace(", ", ",")
        chinese = problem.metadata["language"] == "cn"
        return f"因此, 最终答案是 $\\boxed{{{text}}}$。" if chinese else f"Thus the answer is $\\boxed{{{text}}}$."
    if card.answer_type != "code":
        answers = [gold] if isinstance(gold, str) else gold
        return "So we get " + ", ".join(f"\\boxed{{{answer}}}" for answer in answers) + "."
    if "canonical_solution" in gold:
        return f"```python\n{gold['prompt']}{gold['canonical_solution']}\n```"
    return "```python\nprint(input())\n```"


def responses(card: Card, problem: Problem, number: int) -> list[str]:
    """Right, wrong and none, in an order that changes from problem to problem."""
    wrong = "```python\ndef other():\n    return None\n```" if card.answer_type == "code" else "\\boxed{-123456789}"
    three = [right_answer(card, problem), wrong, "I do not know."]
    return three[number % 3 :] + three[: number % 3]


def available(data: Path, limit: int) -> dict[str, tuple[Card, list[Problem]]]:
    found = {}
    for name in card_names():
        card = load_card(name)
        try:
            found[name] = card, load_problems(card, data, LoadOptions(hub=False))[:limit]
        except UsageError as error:
            print(f"no data of {name}: {error}")
    return found


def scored(benchmarks: dict[str, tuple[Card, list[Problem]]], data: Path, folder: Path, limit: int) -> dict[str, float]:
    """Through ``ringlite score``."""
    stored = folder / "stored.jsonl"
    with stored.open("w") as lines:
        for name, (card, problems) in benchmarks.items():
            for number, problem in enumerate(problems):
                for i, text in enumerate(responses(card, problem, number)):
                    sample = Sample("stored", name, problem.id, i, None, text, "stop")
                    lines.write(json.dumps({"schema_version": 1, **asdict(sample)}) + "\n")
    command = [sys.executable, "-m", "ringlite", "score", "--replay", str(stored), "--benchmarks", ",".join(benchmarks)]
    command += ["--limit", str(limit), "-n", str(N), "--data", str(data), "--out", str(folder / "run"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return {row["benchmark"]: row["score"] for row in json.loads(done.stdout)["benchmarks"]}


def through_lm_eval(benchmarks: dict[str, tuple[Card, list[Problem]]], data: Path, limit: int) -> dict[str, float]:
    import lm_eval
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(FOLDER), metadata={"data": str(data)})
    tasks = manager.load([f"ringlite_{name}" for name in benchmarks])["tasks"]
    for task in tasks.values():
        task.set_config("repeats", N)
    by_prompt = {
        card.messages(problem)[-1]["content"]: responses(card, problem, number)
        for card, problems in benchmarks.values()
        for number, problem in enumerate(problems)
    }
    assert len(by_prompt) == sum(len(problems) for _, problems in benchmarks.values())  # else responses mix
    evaluated = lm_eval.simple_evaluate(
        model=Stored(by_prompt),
        tasks=list(tasks.values()),
        task_manager=manager,
        limit=limit,
        bootstrap_iters=0,
        log_samples=False,
    )
    return {name: evaluated["results"][f"ringlite_{name}"]["avg_at_n,all"] for name in benchmarks}


def counted(scores: dict[str, float], benchmarks: dict[str, tuple[Card, list[Problem]]]) -> dict[str, Fraction]:
    """Each score as the exact share of right answers that it is the float of.

    lm-eval adds the problems' means one by one and numpy in pairs, so the floats may differ in the last bit; shares
    with the denominator of all answers lie far apart, so what a float stands for cannot be mistaken.
    """
    shares = {}
    for name, score in scores.items():
        answers = N * len(benchmarks[name][1])
        shares[name] = Fraction(round(score * answers), answers)
        assert abs(float(shares[name]) - score) < 1e-12, (name, score)
    return shares


def test_lm_eval_and_score_agree_on_all_problems_of_the_gated_benchmarks(made_up: Path, tmp_path: Path) -> None:
    benchmarks = available(made_up, LARGEST)
    assert {name: len(benchmarks[name][1]) for name in MADE_UP} == {"cnmo24": 18, "livemathbench": LARGEST}
    gated = {name: benchmarks[name] for name in MADE_UP}
    ours = scored(gated, made_up, tmp_path, LARGEST)
    assert counted(through_lm_eval(gated, made_up, LARGEST), gated) == counted(ours, gated)
    assert ours == {name: pytest.approx(1 / 3) for name in MADE_UP}


@pytest.mark.data
def test_lm_eval_and_score_agree_on_every_benchmark(made_up: Path, tmp_path: Path) -> None:
    data = os.environ.get("RINGLITE_DATA")
    if not data:
        pytest.skip("RINGLITE_DATA is not set: no benchmark data but the made-up rows of the other test")
    for entry in Path(data).iterdir():
        if entry.name not in MADE_UP:
            (made_up / entry.name).symlink_to(entry)
    benchmarks = available(made_up, LIMIT)
    print("compared:", *benchmarks)
    assert len(benchmarks) >= 10
    assert benchmarks.keys() >= set(MADE_UP)
    ours = scored(benchmarks, made_up, tmp_path, LIMIT)
    theirs = through_lm_eval(benchmarks, made_up, LIMIT)
    assert counted(theirs, benchmarks) == counted(ours, benchmarks)
    assert ours == {name: pytest.approx(0.0 if name == "livecodebench" else 1 / 3) for name in benchmarks}
