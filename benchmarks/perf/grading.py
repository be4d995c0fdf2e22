"""The mathematics grader against Math-Verify called directly, in one interleaved run, with two processes each.

python -m benchmarks.perf.grading --data $RINGLITE_DATA --out results/perf_grading.json

Every response has 32,000 characters of reasoning before its box. Texts are made before the clock starts; Math-Verify
parses its gold again for each answer only where the pair is new, as its users do.
"""

import argparse
import json
import multiprocessing
import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from benchmarks.perf.grading_report import emit
from harness.graders.math import MathGrader

CHARACTERS = 32_000
PROCESSES = 2
HANGING = r"\boxed{\binom{10^9}{10^8}}"
_SCRAPS = (
    r"so the value of $x^2+3x$ equals $\frac{1}{2}$ and therefore n = 17, which gives \(a+b\).",
    r"Wait, let me check this again: \[ \sum_{k=1}^{n} k = \frac{n(n+1)}{2} \] holds.",
    r"The answer to the first part is $12$, but we still need the second part.",
    r"If $f(x) = \sqrt{x+1}$ then f(3) = 2, and 2 < 5 as well. Hmm, 1,024 is a power of two.",
)
Pairs = list[tuple[str, str]]


def response(answer: str, rng: random.Random) -> str:
    """A thought of 32,000 characters with formulas and numbers in it, then the answer in a box."""
    start = rng.randrange(2_000)
    return f"<think>\n{_thought(start)}\n</think>\n\nThe answer is $\\boxed{{{answer}}}$."


_CACHE: dict[int, str] = {}


def _thought(start: int) -> str:
    if 0 not in _CACHE:
        rng = random.Random(7)
        parts, size = [], 0
        while size < CHARACTERS + 4_000:
            parts.append(rng.choice(_SCRAPS))
            size += len(parts[-1]) + 1
        _CACHE[0] = "\n".join(parts)
    return _CACHE[0][start : start + CHARACTERS]


def spellings(gold: str, rng: random.Random) -> str:
    """The same answer, written as another model would."""
    return rng.choice(
        [
            gold,
            gold.replace("\\frac", "\\dfrac"),
            gold.replace(",", ", "),
            f"{{{gold}}}",
            f"\\displaystyle {gold}",
            gold.replace("+", " + "),
        ]
    )


def aime(data: Path, count: int, seed: int) -> Pairs:
    """AIME: two of three answers are right, some with leading zeros."""
    rng = random.Random(seed)
    rows = (data / "aime2025/aime2025.jsonl").read_text().splitlines()
    golds = [str(json.loads(row)["expected_answer"]) for row in rows]
    pairs = []
    for number in range(count):
        gold = rng.choice(golds)
        pairs.append((response(gold.zfill(3) if number % 3 else str((int(gold) + 1) % 1000), rng), gold))
    return pairs


def math500(data: Path) -> list[str]:
    """The golds of MATH-500."""
    return [json.loads(row)["answer"] for row in (data / "math500/math500.jsonl").read_text().splitlines()]


def new_pairs(golds: Sequence[str], count: int, seed: int) -> Pairs:
    """Pairs that have not been seen: every gold once right, once with another gold's answer."""
    rng = random.Random(seed)
    right = [(spellings(gold, rng), gold) for gold in golds]
    wrong = [(rng.choice([other for other in golds if other != gold]), gold) for gold in golds]
    chosen = right + wrong
    rng.shuffle(chosen)
    return [(response(answer, rng), gold) for answer, gold in chosen[:count]]


def reward_step(golds: Sequence[str], prompts: int, samples: int, seed: int) -> Pairs:
    """One step of RL: ``samples`` answers to each of ``prompts`` problems, six in ten right, a few wrong ideas each."""
    rng = random.Random(seed)
    pairs = []
    for gold in rng.choices(golds, k=prompts):
        ideas = rng.sample(list(golds), 4)
        for _ in range(samples):
            answer = spellings(gold, rng) if rng.random() < 0.6 else rng.choice(ideas)
            pairs.append((response(answer, rng), gold))
    return pairs


def direct(pairs: Pairs) -> int:
    """Math-Verify, called directly on whole responses; returns how many are right."""
    import logging

    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    return sum(bool(verify(parse(f"${gold}$"), parse(text))) for text, gold in pairs)


def ours_alone(pairs: Pairs) -> int:
    """Our grader in one process with one worker, as each rank of a trainer has it."""
    with MathGrader("strict", 1) as grader:
        return sum(answer.correct for answer in grader.grade_many(pairs))


def _child(work: Callable[[Pairs], int], pairs: Pairs, gate: Barrier, out: Any) -> None:
    work(pairs[:2])
    gate.wait()
    out.put(work(pairs))


def in_processes(work: Callable[[Pairs], int], pairs: Pairs) -> float:
    """Answers per second of ``work`` in two processes, each with half of the pairs, started together when warm."""
    context = multiprocessing.get_context("fork")
    gate, out = context.Barrier(PROCESSES + 1), context.Queue()
    children = [
        context.Process(target=_child, args=(work, pairs[part::PROCESSES], gate, out)) for part in range(PROCESSES)
    ]
    for child in children:
        child.start()
    gate.wait()
    start = time.perf_counter()
    for _ in children:
        out.get()
    seconds = time.perf_counter() - start
    for child in children:
        child.join()
    return len(pairs) / seconds


def ours_pooled(pairs: Pairs) -> float:
    """Answers per second of one grader with two workers that has never seen the pairs."""
    with MathGrader("strict", PROCESSES) as grader:
        grader.grade_many([("\\boxed{x+1}", "1+x"), ("\\boxed{x+2}", "2+x")])
        start = time.perf_counter()
        grader.grade_many(pairs)
        return len(pairs) / (time.perf_counter() - start)


def hanging_delay(golds: Sequence[str]) -> dict[str, float]:
    """How much longer other answers take while one hangs, in seconds."""
    pairs = new_pairs(golds, 200, 99)
    seconds = {}
    for name, hang in (("alone", False), ("beside", True)):
        with MathGrader("strict", PROCESSES) as grader:
            grader.grade_many([("\\boxed{x+1}", "1+x"), ("\\boxed{x+2}", "2+x")])
            thread = threading.Thread(target=grader.grade, args=(HANGING, "x^2+1"))
            if hang:
                thread.start()
                time.sleep(0.05)
            start = time.perf_counter()
            for text, gold in pairs:
                grader.grade(text, gold)
            seconds[name] = time.perf_counter() - start
            if hang:
                thread.join()
    return seconds


def measure(data: Path, rounds: int) -> dict[str, dict[str, Any]]:
    """Runs peers and ours in turn; returns rates and the median of the ratios of each round."""
    golds = math500(data)
    rates: dict[str, dict[str, list[float]]] = {}

    def note(name: str, peer: float, own: float) -> None:
        entry = rates.setdefault(name, {"math_verify": [], "ringlite": []})
        entry["math_verify"].append(peer)
        entry["ringlite"].append(own)

    for turn in range(rounds):
        note(
            "AIME, 32k characters",
            in_processes(direct, aime(data, 200, turn)),
            in_processes(ours_alone, aime(data, 8_000, turn)),
        )
        pairs = new_pairs(golds, 400, turn)
        note("MATH-500, new pairs, isolated", in_processes(direct, pairs), ours_pooled(pairs))
        step = reward_step(golds, 512, 16, turn)
        sample = step[turn :: 8 * rounds]
        note("RL step, 8,192 MATH answers", in_processes(direct, sample), ours_pooled(step))
    return {
        name: {
            **entry,
            "ratio": statistics.median(b / a for a, b in zip(entry["math_verify"], entry["ringlite"], strict=True)),
        }
        for name, entry in rates.items()
    }


TARGETS = {"AIME, 32k characters": 20, "MATH-500, new pairs, isolated": 3, "RL step, 8,192 MATH answers": 6}


def main() -> None:
    """Measures, prints the table, writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("RINGLITE_DATA"), help="default: RINGLITE_DATA")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None, help="where the JSON goes")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("name the folder with benchmark rows: --data or RINGLITE_DATA")
    results = measure(Path(arguments.data), arguments.rounds)
    delay = hanging_delay(math500(Path(arguments.data)))
    rows = [
        [
            name,
            f"{statistics.median(entry['math_verify']):,.0f}",
            f"{statistics.median(entry['ringlite']):,.0f}",
            f"{entry['ratio']:.1f}",
            str(TARGETS[name]),
        ]
        for name, entry in results.items()
    ]
    rows.append(
        [
            "200 answers beside a hanging one, s",
            "",
            f"{delay['beside']:.2f}",
            f"+{delay['beside'] - delay['alone']:.2f}",
            "2",
        ]
    )
    emit(results, delay, rows, arguments.out)


if __name__ == "__main__":
    main()
