"""The problems that are asked: AIME 2024 from a data folder, or made-up ones of the same form."""

import json
import random
from pathlib import Path

from benchmarks.perf.harness_server import Question

BENCHMARK = "aime24"
_PLACE = "aime2024/aime2024.jsonl"


def questions(data: Path | None) -> list[Question]:
    """The 30 problems of AIME 2024 below ``data``; None: 30 made-up ones."""
    if data is None:
        return [_made_up(number) for number in range(1, 31)]
    from harness.card import load_card
    from harness.problems import load

    rows = [json.loads(line) for line in (data / _PLACE).read_text(encoding="utf-8").splitlines()]
    golds = {problem.prompt: str(problem.gold) for problem in load(load_card(BENCHMARK), data).problems}
    texts = [str(row["problem"]).strip() for row in rows]
    answers = [next(gold for prompt, gold in golds.items() if text in prompt) for text in texts]
    return [Question(f"p{number}", *pair) for number, pair in enumerate(zip(texts, answers, strict=True), 1)]


def _made_up(number: int) -> Question:
    rng = random.Random(number)
    a, b, c = rng.randint(11, 99), rng.randint(11, 99), rng.randint(100, 999)
    text = (
        f"A sequence of positive integers begins with ${a}$, and each term after the first is ${b}$ more than the one "
        f"before it. Find the remainder when the sum of its first ${c}$ terms is divided by $1000$. (No. {number})"
    )
    return Question(f"p{number}", text, str((c * a + b * c * (c - 1) // 2) % 1000))


def write_rows(asked: list[Question], folder: Path) -> Path:
    """Writes the problems as a data folder of ours, and returns it."""
    path = folder / _PLACE
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"id": n, "problem": q.text, "answer": q.gold}) for n, q in enumerate(asked, 60)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
