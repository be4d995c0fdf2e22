"""Finding 2: the entropy band picks the start of reinforcement learning, the validation score does not."""

from collections.abc import Sequence

from reference_trainer.claims.arms import candidates, from_epoch
from reference_trainer.claims.claim import Claim, Outcome, Plot, over_seeds, untestable
from reference_trainer.claims.lab import Lab
from reference_trainer.report.chart import Series
from reference_trainer.select import choose

_BETTER = "Stage 1 ends higher from the epoch that the band chooses than from the one with the best pass rate."
_IN_BAND = "The epochs in the band end higher than those outside."


def run(lab: Lab, seeds: Sequence[int]) -> Outcome:
    """See ``CLAIM``."""
    band = lab.recipe.select
    numbers, gains, inside_gains, lines = {}, [], [], []
    for number, seed in enumerate(seeds):
        found = candidates(lab, seed)
        final = {c.epoch: 100 * lab.trained(seed, from_epoch(lab, c.epoch)).accuracy["math"] for c in found}
        by_band = choose(found, band).epoch
        by_rate = max(found, key=lambda c: (c.pass_rate, -c.epoch)).epoch
        gains.append(final[by_band] - final[by_rate])
        inside = [final[c.epoch] for c in found if band.low <= c.entropy <= band.high]
        outside = [final[c.epoch] for c in found if not band.low <= c.entropy <= band.high]
        if inside and outside:
            inside_gains.append(sum(inside) / len(inside) - sum(outside) / len(outside))
        lines.append(Series(f"seed {seed}", [c.entropy for c in found], list(final.values()), number))
        numbers[str(seed)] = {
            "entropy": {c.epoch: c.entropy for c in found},
            "pass_rate": {c.epoch: c.pass_rate for c in found},
            "after_stage_1": final,
            "chosen_by_entropy": by_band,
            "chosen_by_pass_rate": by_rate,
        }
    same = all(row["chosen_by_entropy"] == row["chosen_by_pass_rate"] for row in numbers.values())
    parts = (
        untestable(_BETTER, f"both rules choose the same epoch in all {len(seeds)} seeds")
        if same
        else over_seeds(_BETTER, gains, "points"),
        over_seeds(_IN_BAND, inside_gains, "points")
        if len(inside_gains) == len(seeds)
        else untestable(_IN_BAND, f"only {len(inside_gains)} of {len(seeds)} seeds have epochs inside and outside"),
    )
    plot = Plot("Held-out mathematics after stage 1 (percent)", tuple(lines), "entropy of the start (nats)")
    return Outcome(parts, numbers, (plot,))


CLAIM = Claim(
    name="entropy-selection",
    finding="An entropy of 0.3 to 0.5 marks the best start of RL, the best validation score does not (Table 2).",
    hypothesis=f"{_BETTER} {_IN_BAND}",
    experiment="Stage 1 (C3PO, mathematics) from every epoch of the distillation, scored on the held-out problems.",
    test="One-sided t-tests over seeds of the difference in points, 5 %.",
    run=run,
)
