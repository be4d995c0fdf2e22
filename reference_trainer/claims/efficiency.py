"""Finding 5: token efficiency has a sweet spot."""

import math
from collections.abc import Sequence

import numpy as np

from reference_trainer.claims.arms import candidates, from_epoch
from reference_trainer.claims.claim import Claim, Outcome, Plot, over_seeds
from reference_trainer.claims.lab import Lab
from reference_trainer.report.chart import Series

_CURVED = "Accuracy after stage 1 is concave in the logarithm of the token ratio."
_INSIDE = "The best ratio lies inside the range, not at an end of it."


def run(lab: Lab, seeds: Sequence[int]) -> Outcome:
    """See ``CLAIM``."""
    numbers, curvatures, inside, lines = {}, [], [], []
    for number, seed in enumerate(seeds):
        ratios, scores = [], []
        for candidate in candidates(lab, seed):
            trained = lab.trained(seed, from_epoch(lab, candidate.epoch))
            tokens = sum(row["tokens_trained"] for row in trained.metrics)
            ratios.append(tokens / lab.sft_tokens(seed, candidate.epoch))
            scores.append(100 * trained.accuracy["math"])
        logs = [math.log(ratio) for ratio in ratios]
        curvatures.append(-float(np.polyfit(logs, scores, 2)[0]))
        best = int(np.argmax(scores))
        # A best point inside by chance has probability (n - 2) / n: the statistic is what exceeds that.
        inside.append(float(0 < best < len(scores) - 1) - (len(scores) - 2) / len(scores))
        lines.append(Series(f"seed {seed}", ratios, scores, number))
        numbers[str(seed)] = {"ratio": ratios, "accuracy": scores, "curvature": -curvatures[-1]}
    parts = (
        over_seeds(_CURVED, curvatures, "points per squared unit of log ratio (negated curvature)"),
        over_seeds(_INSIDE, inside, "above the share that chance would put inside"),
    )
    plot = Plot("Held-out mathematics after stage 1 (percent)", tuple(lines), "RL tokens / SFT tokens")
    return Outcome(parts, numbers, (plot,))


CLAIM = Claim(
    name="token-efficiency",
    finding="Token efficiency, RL training tokens over SFT training tokens, has a sweet spot (Fig. 9).",
    hypothesis=f"{_CURVED} {_INSIDE}",
    experiment="Stage 1 with the same tokens from every epoch of the distillation; an epoch more is a lower ratio.",
    test="A parabola in the log ratio for each seed; one-sided t-tests over seeds, 5 % each.",
    run=run,
)
