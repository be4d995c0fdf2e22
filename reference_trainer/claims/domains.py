"""Finding 4: domains get in each other's way, and one after the other is better than at once."""

from collections.abc import Sequence

from reference_trainer.claims.arms import chosen_epoch, code_alone, from_epoch, math_and_code, mixed, second_stage
from reference_trainer.claims.claim import Claim, Outcome, Plot, over_seeds
from reference_trainer.claims.lab import Lab
from reference_trainer.report.chart import Series

_MATH = "Mathematics ends higher when trained alone than when trained together with code."
_CODE = "Code ends higher when trained alone than when trained together with mathematics."
_STAGES = "Mathematics first, then code and science, ends higher over the three domains than all at once."


def run(lab: Lab, seeds: Sequence[int]) -> Outcome:
    """See ``CLAIM``."""
    arms = {"math alone": from_epoch, "code alone": code_alone, "math and code": math_and_code}
    arms |= {"two stages": second_stage, "all at once": mixed}
    numbers = {
        str(seed): {told: lab.trained(seed, make(lab, chosen_epoch(lab, seed))).accuracy for told, make in arms.items()}
        for seed in seeds
    }

    def gain(better: str, worse: str, domains: Sequence[str]) -> list[float]:
        return [
            100 * sum(found[better][d] - found[worse][d] for d in domains) / len(domains) for found in numbers.values()
        ]

    parts = (
        over_seeds(_MATH, gain("math alone", "math and code", ["math"]), "points"),
        over_seeds(_CODE, gain("code alone", "math and code", ["code"]), "points"),
        over_seeds(_STAGES, gain("two stages", "all at once", ["math", "code", "science"]), "points"),
    )
    lines = [
        Series(told, list(seeds), [100 * sum(numbers[str(s)][told].values()) / 3 for s in seeds], i)
        for i, told in enumerate(arms)
    ]
    return Outcome(parts, numbers, (Plot("Held-out accuracy over the three domains (percent)", tuple(lines), "seed"),))


CLAIM = Claim(
    name="domain-mixing",
    finding="Mixing math and code in one run loses against single-domain runs (Table 3); math first, then code and "
    "science, wins over the naive mix (Table 4).",
    hypothesis=f"{_MATH} {_CODE} {_STAGES}",
    experiment="From the epoch in the band: mathematics alone and code alone (as long as stage 1), both at once (twice "
    "as long), two stages, all three at once (twice as long); what is compared has the same steps for each domain.",
    test="One-sided t-tests over seeds of the difference in points on the held-out problems, 5 % each.",
    run=run,
)
