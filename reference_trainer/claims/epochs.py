"""Finding 1: more epochs of distillation, lower entropy, earlier collapse."""

from collections.abc import Sequence

from reference_trainer.claims.arms import candidates, from_epoch
from reference_trainer.claims.claim import Claim, Outcome, Plot, collapse, mean_line, over_seeds, smoothed, untestable
from reference_trainer.claims.lab import Lab
from reference_trainer.report.chart import Series

_LOWER = "The entropy after the last epoch is lower than after the first."
_EARLIER = "From later epochs the reward collapses earlier."


def run(lab: Lab, seeds: Sequence[int]) -> Outcome:
    """See ``CLAIM``."""
    epochs = list(range(1, lab.recipe.distill.epochs + 1))
    entropies = {seed: [c.entropy for c in candidates(lab, seed)] for seed in seeds}
    rewards = {
        epoch: [[row["reward"] for row in lab.trained(seed, from_epoch(lab, epoch)).metrics] for seed in seeds]
        for epoch in epochs
    }
    collapses = {epoch: [collapse(line) for line in lines] for epoch, lines in rewards.items()}
    happened = sum(step is not None for steps in collapses.values() for step in steps)
    if happened:
        last = {
            epoch: [len(rewards[epoch][0]) if s is None else s for s in steps] for epoch, steps in collapses.items()
        }
        earlier = [float(a - b) for a, b in zip(last[epochs[0]], last[epochs[-1]], strict=True)]
        second = over_seeds(_EARLIER, earlier, "steps between the first epoch's collapse and the last one's")
    else:
        runs = len(epochs) * len(seeds)
        second = untestable(_EARLIER, f"none of {runs} runs of {len(rewards[epochs[0]][0])} steps collapsed")
    drops = [line[0] - line[-1] for line in entropies.values()]
    curves = [mean_line(f"from epoch {e}", [smoothed(line) for line in rewards[e]], i) for i, e in enumerate(epochs)]
    each = [Series(f"seed {seed}", epochs, line, i) for i, (seed, line) in enumerate(entropies.items())]
    return Outcome(
        (over_seeds(_LOWER, drops, "nats lower"), second),
        {"entropy": {str(seed): line for seed, line in entropies.items()}, "collapse_step": collapses},
        (
            Plot("Policy entropy (nats)", tuple(each), "epoch of the distillation"),
            Plot("Reward in stage 1, mean over seeds", tuple(curves), "step"),
        ),
    )


CLAIM = Claim(
    name="epochs-entropy",
    finding="More SFT epochs lower the policy's entropy and bring the reward's collapse forward (Fig. 5, 6).",
    hypothesis=f"{_LOWER} {_EARLIER}",
    experiment="Distillation with a checkpoint after every epoch; stage 1 (C3PO, mathematics) from each of them.",
    test="One-sided t-tests over seeds, 5 %. Collapse: the smoothed reward (5 steps) falls below half of its maximum "
    "and stays there; a run without one counts as its length; if no run collapses, the second part is not testable.",
    run=run,
)
