"""The rewards of a stage: given again by the harness's own graders, and attacked by hostile responses."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import torch

from harness.graders.code.extract import after_thinking, function_program
from harness.graders.code.humaneval import job
from harness.graders.math import MathGrader
from reference_trainer.gates.attack_answers import ANSWERS, hostile_answers
from reference_trainer.gates.attack_programs import PROGRAMS, hostile_programs
from reference_trainer.gates.drawn import strategies
from reference_trainer.gates.evidence import Evidence
from reference_trainer.gates.record import Check
from reference_trainer.rollout import Rollout
from reference_trainer.stages import StageRun
from reference_trainer.stages.reinforcement import verified_reward
from reference_trainer.stream import Prompt
from reference_trainer.tasks import DOMAINS, ToyProblem, toy_gold
from reference_trainer.tasks.files import benchmark_row, read_problems
from sandbox import Sandbox

_PROGRAMS_AGAIN = 96  # distinct programs of a stage that are judged again
_BOX = re.compile(r"\\boxed\{([^{}]*)\}")


def check_rewards(run: StageRun, evidence: Sequence[Evidence], tokenizer: Any) -> Iterator[Check]:
    """Rewards of the stage's evidence a second time, and 0 for every hostile response to its prompts."""
    problems = {problem.id: problem for problem in _problems(run)}
    unknown = sorted({name for step in evidence for name in step.prompts if name not in problems})
    yield Check("rewards.problems", not unknown, len(unknown), "0 prompts that are no problem of the run's data")
    asked = [
        problems[name] for name in dict.fromkeys(name for step in evidence for name in step.prompts) if name in problems
    ]
    given = [
        (
            problems[name],
            tokenizer.decode(rollout.response.tolist(), skip_special_tokens=True),
            rollout.finished,
            reward,
        )
        for step in evidence
        for name, group, rewards in zip(step.prompts, step.groups, step.rewards, strict=True)
        if name in problems
        for rollout, reward in zip(group, rewards, strict=True)
    ]
    values = sorted({reward for *_, reward in given} - {0.0, 1.0})
    yield Check(
        "rewards.values", not values, len(values), "0 rewards other than 0 and 1", ", ".join(map(str, values[:3]))
    )
    wrong = _wrong_answers([row for row in given if row[0].domain != "code"])
    wrong += _wrong_programs([row for row in given if row[0].domain == "code"])
    yield Check(
        "rewards.again", not wrong, len(wrong), "0 rewards that the harness's graders do not give",
        f"{wrong[0]}: look at VerifierReward and Verifier" if wrong else "",
    )  # fmt: skip
    yield _attacked(asked, run.recipe.gates.examples, run.seed)


def _problems(run: StageRun) -> Iterator[ToyProblem]:
    for domain in DOMAINS:
        for split in ("train", "validation", "heldout"):
            yield from read_problems(run.of("data", f"{domain}/{split}.jsonl"))


Given = tuple[ToyProblem, str, bool, float]


def _wrong_answers(given: Sequence[Given]) -> list[str]:
    """A paid answer has its digit in a box and Math-Verify's consent; a finished response with that one box is paid."""
    wrong = []
    with closing(MathGrader("math-verify", workers=1)) as grader:
        verdicts = grader.grade_many((text, problem.answer, not finished) for problem, text, finished, _ in given)
        for (problem, text, finished, reward), verdict in zip(given, verdicts, strict=True):
            boxes = [box.strip() for box in _BOX.findall(text)]
            paid = problem.answer in boxes and verdict.correct
            due = finished and boxes == [problem.answer] and text.count("boxed") == 1
            if (reward == 1 and not paid) or (reward == 0 and due):
                wrong.append(f"{problem.question} {text!r:.80} was given {reward:g}")
    return wrong


def _wrong_programs(given: Sequence[Given]) -> list[str]:
    """A program is paid exactly when the harness's HumanEval job, another way through the sandbox, accepts it."""
    distinct = {(problem.id, text): (problem, text, reward) for problem, text, _, reward in given}
    chosen = list(distinct.values())
    chosen = chosen[:: max(1, len(chosen) // _PROGRAMS_AGAIN)]
    wrong = []
    jobs = []
    for problem, text, reward in chosen:
        row = {**benchmark_row(problem), "prompt": ""}
        program = function_program(after_thinking(text) or "", "", row["entry_point"])
        if program:
            jobs.append((problem, text, reward, job(program, row, problem.id)))
        elif reward:
            wrong.append(f"{problem.question} {text!r:.80} was given {reward:g} without a program")
    if jobs:
        with Sandbox() as sandbox:
            results = list(sandbox.map([item[3].model_dump() for item in jobs]))
        for (problem, text, reward, _), result in zip(jobs, results, strict=True):
            if (result.verdict == "accepted") != (reward == 1):
                wrong.append(
                    f"{problem.question} {text!r:.80} was given {reward:g}, and the harness says {result.verdict}"
                )
    return wrong


class _Texts:
    """Decodes response number i to text i, so that any text can be answered, whatever the tokenizer knows."""

    def __init__(self, texts: Sequence[str]):
        self.texts = texts

    def decode(self, tokens: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of this number."""
        return self.texts[tokens[0]]


def _attacked(problems: Sequence[ToyProblem], examples: int, seed: int) -> Check:
    """Every hostile response is given 0 by the reward that the stage itself makes."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    st = strategies()
    code = [problem for problem in problems if problem.domain == "code"]
    answers = [problem for problem in problems if problem.domain != "code"]
    attacks: list[tuple[ToyProblem, str]] = []
    for number, program in enumerate(PROGRAMS if code else ()):
        attacks.append((code[number % len(code)], program))
    for number, answer in enumerate(ANSWERS if answers else ()):
        problem = answers[number % len(answers)]
        attacks.append((problem, answer(problem)))

    @seeded(seed)
    @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate], print_blob=False,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.data())
    def draw(data: Any) -> None:
        if code:
            attacks.append((data.draw(st.sampled_from(code)), data.draw(hostile_programs(st))))
        if answers:
            problem = data.draw(st.sampled_from(answers))
            attacks.append((problem, data.draw(hostile_answers(st, problem))))

    draw()
    paid = [
        f"{problem.question} answered by {text!r:.300}"
        for (problem, text), reward in zip(attacks, _rewards(attacks), strict=True)
        if reward != 0
    ]
    return Check(
        "rewards.attacks", not paid, len(paid), f"0 of {len(attacks)} hostile responses that are paid",
        f"{paid[0]}: look at Verifier and at what the sandbox lets a program read" if paid else "",
    )  # fmt: skip


def _rewards(attacks: Sequence[tuple[ToyProblem, str]]) -> list[float]:
    prompts = [Prompt(problem.id, (0,), toy_gold(problem), problem.domain) for problem, _ in attacks]
    empty = torch.zeros(1)
    rollouts = [
        Rollout(torch.zeros(1, dtype=torch.long), torch.tensor([i]), empty, True, 0) for i in range(len(attacks))
    ]
    with verified_reward(_Texts([text for _, text in attacks])) as reward:
        return list(reward(prompts, rollouts))
