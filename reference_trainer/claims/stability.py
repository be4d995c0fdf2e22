"""Finding 3: C3PO is steady where GRPO is not."""

from collections.abc import Sequence
from typing import Any

from reference_trainer.claims.arms import chosen_epoch, long_arm
from reference_trainer.claims.claim import Claim, Outcome, Plot, collapse, mean_line, over_seeds, untestable, variation
from reference_trainer.claims.lab import Lab, Trained

_TOKENS = "Tokens trained a step vary less under C3PO than under GRPO."
_NORM = "The gradient norm varies less under C3PO than under GRPO."
_TIME = "Tokens trained a second vary less under C3PO than under GRPO."
_REWARD = "The reward collapses under GRPO and not under C3PO."
_WARM_UP = 5  # the first steps differ in what AdamW has seen, under both


def run(lab: Lab, seeds: Sequence[int]) -> Outcome:
    """See ``CLAIM``."""
    runs: dict[str, list[Trained]] = {
        loss: [lab.trained(seed, long_arm(lab, loss, chosen_epoch(lab, seed))) for seed in seeds]
        for loss in ("c3po", "grpo")
    }

    def cov(loss: str, name: str) -> list[float]:
        return [variation([row[name] for row in found.metrics[_WARM_UP:]]) for found in runs[loss]]

    def speed(loss: str) -> list[float]:
        return [
            variation(
                [
                    row["tokens_trained"] / (time["seconds"] - time["rollout_seconds"])
                    for row, time in zip(found.metrics[_WARM_UP:], found.timings[_WARM_UP:], strict=True)
                ]
            )
            for found in runs[loss]
        ]

    def less(a: list[float], b: list[float]) -> list[float]:
        return [there - here for here, there in zip(a, b, strict=True)]

    collapses = {loss: [collapse([row["reward"] for row in found.metrics]) for found in runs[loss]] for loss in runs}
    grpo_only = sum(g is not None and c is None for g, c in zip(collapses["grpo"], collapses["c3po"], strict=True))
    reward = (
        over_seeds(_REWARD, [float(g is not None) - float(c is not None) for g, c in _pairs(collapses)], "collapses")
        if grpo_only or any(step is not None for step in collapses["c3po"])
        else untestable(_REWARD, f"no run collapsed in {len(runs['grpo'][0].metrics)} steps")
    )
    figures: dict[str, Any] = {
        loss: {
            "tokens_cov": cov(loss, "tokens_trained"),
            "gradient_norm_cov": cov(loss, "gradient_norm"),
            "training_speed_cov": speed(loss),
            "final_accuracy": [found.accuracy["math"] for found in runs[loss]],
            "tokens_trained": [sum(row["tokens_trained"] for row in found.metrics) for found in runs[loss]],
            "first_gradient_norm": [found.metrics[0]["gradient_norm"] for found in runs[loss]],
        }
        for loss in runs
    }
    c3po, grpo = figures["c3po"], figures["grpo"]
    parts = (
        over_seeds(_TOKENS, less(c3po["tokens_cov"], grpo["tokens_cov"]), "lower coefficient of variation"),
        over_seeds(_NORM, less(c3po["gradient_norm_cov"], grpo["gradient_norm_cov"]), "lower coefficient of variation"),
        over_seeds(
            _TIME, less(c3po["training_speed_cov"], grpo["training_speed_cov"]), "lower coefficient of variation"
        ),
        reward,
    )
    plots = tuple(
        Plot(
            f"{title}, mean over seeds",
            tuple(
                mean_line(loss.upper(), [[row[name] for row in found.metrics] for found in runs[loss]], i)
                for i, loss in enumerate(runs)
            ),
            "step",
        )
        for name, title in (
            ("tokens_trained", "Tokens trained"),
            ("gradient_norm", "Gradient norm"),
            ("reward", "Reward"),
        )
    )
    return Outcome(parts, figures, plots)


def _pairs(collapses: dict[str, list[int | None]]) -> list[tuple[int | None, int | None]]:
    return list(zip(collapses["grpo"], collapses["c3po"], strict=True))


CLAIM = Claim(
    name="c3po-stability",
    finding="Under GRPO tokens a step follow the lengths, the gradient norm spikes and the reward collapses; under "
    "C3PO tokens are constant, and gradient norm, reward and throughput are steady (Fig. 7, 8).",
    hypothesis=f"{_TOKENS} {_NORM} {_TIME} {_REWARD}",
    experiment="Stage 1 twice as long under either objective, from the same epoch, on the same prompts.",
    test=f"Coefficients of variation over the steps after the first {_WARM_UP}; one-sided t-tests over seeds of the "
    "difference, 5 % each. Training speed is tokens trained over the seconds of the update.",
    run=run,
)
