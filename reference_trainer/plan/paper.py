"""A plan beside the figures of Ring-lite (arXiv 2506.14731): the factor between them, and why it is what it is."""

from dataclasses import dataclass

from reference_trainer.config import RLConfig
from reference_trainer.plan.shape import Shape
from reference_trainer.plan.stages import StagePlan

TOTAL, ACTIVATED = 16.8e9, 2.75e9
PROMPTS, RESPONSES, PHI, GPUS = 512, 16, 409_600, 256
MEAN_RESPONSE = PHI / (2 * RESPONSES)
GENERATED = PROMPTS * RESPONSES * MEAN_RESPONSE
FIGURE_9_TOKENS = 2.05e9
PROBLEMS = 73_000


@dataclass(frozen=True)
class Comparison:
    """One figure.

    Attributes:
        figure: What is compared.
        paper: As printed, or derived from what is printed.
        plan: Ours.
        within: Largest factor, up or down, that agrees.
        why: How the paper's figure comes about, and what makes the factor.
    """

    figure: str
    paper: float
    plan: float
    within: float
    why: str

    @property
    def factor(self) -> float:
        """Ours over the paper's."""
        return self.plan / self.paper

    @property
    def agrees(self) -> bool:
        """Whether the factor is within what is allowed."""
        return 1 / self.within <= self.factor <= self.within


def compare(shape: Shape, stage: StagePlan, rl: RLConfig, gpus: int) -> list[Comparison]:
    """Compares the mathematics stage, the one that the paper's figures are about."""
    responses = rl.rollout.prompts_per_step * rl.rollout.responses_per_prompt
    mean = stage.generated / responses
    mini_batch = rl.objective.mini_batch_prompts * rl.rollout.responses_per_prompt * mean
    steps = max(1, round(FIGURE_9_TOKENS / stage.trained))
    budgets = max(1, round(FIGURE_9_TOKENS / PHI))
    most_ranks = rl.rollout.prompts_per_step / rl.objective.mini_batch_prompts
    reach = "the recipe's reading of Phi's scope" if stage.budget else "no budget: every token"
    return [
        Comparison("parameters", TOTAL, shape.total, 1.01, "printed; counted on the meta device"),
        Comparison("activated parameters", ACTIVATED, shape.activated, 1.01, "printed; embedding and head included"),
        Comparison("responses a step", PROMPTS * RESPONSES, responses, 1.0, "512 prompts x 16 responses"),
        Comparison(
            "tokens sampled a step",
            GENERATED,
            stage.generated,
            1.1,
            "512 x 16 x 12,800, where 12,800 = Phi / (2 x 16); no mean length is printed, so the factor is that of "
            "plan.response_tokens to 12,800",
        ),
        Comparison(
            "Phi",
            PHI,
            mini_batch,
            1.1,
            f"printed; ours is what {rl.objective.mini_batch_prompts} prompts sample: their responses x mean length",
        ),
        Comparison(
            "tokens trained a step",
            GENERATED,
            stage.trained,
            1.1,
            f"{reach}; if Phi held once for a whole step it would be 409,600, 1/256 of what was sampled",
        ),
        Comparison(
            "tokens of one unit of Fig. 9",
            FIGURE_9_TOKENS,
            steps * stage.trained,
            1.05,
            f"its token counts are multiples of 2.05e9; ours is {steps} whole steps; {budgets:,} Phi are "
            f"{budgets * PHI / 1e9:.3f}e9",
        ),
        Comparison(
            "steps",
            PROBLEMS / PROMPTS,
            stage.steps,
            1.05,
            "no number of steps is printed: the paper's side is one pass over its 73,000 problems, 512 a step",
        ),
        Comparison(
            "GPUs",
            GPUS,
            most_ranks,
            1.0,
            f"256 H800 printed; ours is the number that gives each GPU one mini-batch; planned are {gpus}",
        ),
    ]
