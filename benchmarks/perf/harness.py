"""A whole run against lm-eval, sampling against a bare client, and how sampling scales, from servers on this machine.

python -m benchmarks.perf.harness --data $RINGLITE_DATA --out results/perf

``whole``: start-up, sampling, grading with Math-Verify, storing and report of 30 x 64 answers of 32,000 characters
from a server that has them all in memory. lm-eval runs the same problems with its own model class, a Math-Verify metric
that is called as in its own minerva_math task, and --log_samples. ``sampling``: requests a second of our backend and
store, of lm-eval's model class (which stores nothing), and of a bare aiohttp client that drops what it has read.
``openai``: see ``benchmarks.perf.openai_scaling``. Each run is a fresh process and the sides take turns; memory is the
proportional set size of all processes of a run. The answers are made up, the same for all sides, and both scores must
be equal.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.perf import openai_scaling
from benchmarks.perf.harness_report import save, table
from benchmarks.perf.harness_runs import CLIENTS, Bench, bench, sampling, turns, whole_run
from benchmarks.perf.harness_texts import CHARACTERS

SECTIONS = ("whole", "sampling", "openai")
SAMPLES = 64
SIDES = ["ringlite", "lm-eval"]
BARS = {"wall": 1 / 2, "growth": 1 / 3, "per_second": 0.7}


def whole(place: Bench, samples: int, rounds: int) -> dict[str, Any]:
    """Both sides in turns, then one run each with a single answer a problem: what the others cost is the difference.

    Returns:
        For each side its runs and the medians; ``ratios`` of ours to lm-eval's, the median over the rounds.
    """
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for number, side in turns(SIDES, rounds):
        runs[side].append(whole_run(place, side, f"{side}-{number}", samples))
    small = {side: whole_run(place, side, f"{side}-small", 1) for side in SIDES}
    shares = {run["correct"] for side in SIDES for run in runs[side]}
    if max(shares) - min(shares) > 1e-9:
        sys.exit(f"the sides do not agree on the score: {shares}")
    answers = samples * len(place.asked)
    results: dict[str, Any] = {"answers": answers, "correct": shares.pop()}
    for side in SIDES:
        for run in runs[side]:
            run["cpu_ms_an_answer"] = 1000 * run["cpu"] / answers
            run["growth_with_answers"] = run["peak"] - small[side]["peak"]
        names = [name for name in runs[side][0] if name != "correct"]
        medians = {name: statistics.median(run[name] for run in runs[side]) for name in names}
        results[side] = {**medians, "runs": runs[side], "with_one_answer_a_problem": small[side]}
    results["ratios"] = {
        name: statistics.median(a[name] / b[name] for a, b in zip(*(runs[side] for side in SIDES), strict=True))
        for name in ("wall", "cpu", "peak", "growth")
    }
    return results


def alone(place: Bench, samples: int, rounds: int) -> dict[str, Any]:
    """Requests a second of each client, and of ours and lm-eval's as a share of the bare one in the same round."""
    runs: dict[str, list[dict[str, Any]]] = {client: [] for client in CLIENTS}
    for number, client in turns(list(CLIENTS), rounds):
        runs[client].append(sampling(place, client, f"sampling-{client}-{number}", samples))
    results: dict[str, Any] = {}
    for client, found in runs.items():
        shares = [a["per_second"] / b["per_second"] for a, b in zip(found, runs["aiohttp"], strict=True)]
        results[client] = {
            "per_second": statistics.median(run["per_second"] for run in found),
            "cpu_ms": statistics.median(run["cpu_ms"] for run in found),
            "of_bare": statistics.median(shares),
            "runs": found,
        }
    return results


def misses(results: dict[str, Any]) -> list[str]:
    """The bars that are not met, in words."""
    found = []
    if "whole" in results:
        ratios = results["whole"]["ratios"]
        for name in ("wall", "growth"):
            if ratios[name] > BARS[name]:
                found.append(f"{name} is {ratios[name]:.2f} of lm-eval's (at most {BARS[name]:.2f})")
    if "sampling" in results:
        share = results["sampling"]["ringlite"]["of_bare"]
        if share < BARS["per_second"]:
            found.append(f"sampling has {share:.2f} of the bare client's requests a second (at least 0.7)")
    if "openai" in results:
        found += openai_scaling.misses(results["openai"])
    return found


def main() -> int:
    """Measures, prints the tables, writes harness.json and harness.md; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--data", type=Path, default=os.environ.get("RINGLITE_DATA"), help="default: RINGLITE_DATA")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=SAMPLES, help="answers to each of the 30 problems")
    parser.add_argument("--characters", type=int, default=CHARACTERS, help="length of an answer")
    parser.add_argument("--requests", type=int, default=openai_scaling.REQUESTS, help="of the long run of `openai`")
    parser.add_argument("--out", type=Path, help="folder for harness.json and harness.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        parser.error(f"unknown section {', '.join(sorted(unknown))}; known are {', '.join(SECTIONS)}")
    wanted = arguments.sections or SECTIONS
    data = Path(arguments.data) if arguments.data else None
    results: dict[str, Any] = {"problems": "AIME 2024" if data else "made up", "characters": arguments.characters}
    if {"whole", "sampling"} & set(wanted):
        with bench(data, arguments.samples, arguments.characters) as place:
            if "whole" in wanted:
                results["whole"] = whole(place, arguments.samples, arguments.rounds)
            if "sampling" in wanted:
                results["sampling"] = alone(place, arguments.samples, arguments.rounds)
    if "openai" in wanted:
        results["openai"] = openai_scaling.run(data, arguments.rounds, arguments.characters, arguments.requests)
    results["misses"] = misses(results)
    text = table(results)
    print(text)
    if arguments.out is not None:
        save(results, text, arguments.out)
    return int(bool(results["misses"]))


if __name__ == "__main__":
    sys.exit(main())
