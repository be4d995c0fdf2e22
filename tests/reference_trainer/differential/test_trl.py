"""The losses against TRL 1.16.0's ``GRPOTrainer._compute_loss``: value and gradient on random cases in float64.

The method runs unbound on an object without a model; the log-probabilities are given to it, so that only the loss
arithmetic of the two implementations is compared. Not compared, because TRL's own normaliser differs by design: bnpo
under gradient accumulation, dapo with steps_per_generation larger than the accumulation.
"""

import importlib.metadata
import random
from collections import defaultdict
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from reference_trainer.objective import PolicyTokens, c3po_loss, grpo_loss, select_tokens

pytestmark = pytest.mark.differential
CASES = 300
EXACT = {"rtol": 1e-12, "atol": 1e-12}

trl = pytest.importorskip("trl", reason="the oracle is an extra of its own: pip install 'ringlite[oracle]'")
from trl import GRPOTrainer  # noqa: E402  (after the skip)


def test_the_oracle_has_the_version_that_was_read():
    assert importlib.metadata.version("trl") == "1.16.0"


@dataclass(frozen=True)
class Case:
    """One random update; ``accumulation`` is TRL's number of micro-batches, whose share of the loss it computes."""

    lengths: Tensor
    tokens: PolicyTokens
    on_policy: bool
    beta: float
    clip_low: float
    clip_high: float
    accumulation: int

    @property
    def settings(self) -> dict[str, float]:
        return {"clip_low": self.clip_low, "clip_high": self.clip_high, "kl_coefficient": self.beta}


def make(seed: int) -> Case:
    """Random lengths, advantages (zeros among them), ratios far outside the clip range, with and without KL."""
    pick = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([pick.randint(1, 12) for _ in range(pick.randint(1, 8))])
    shape = (len(lengths), int(lengths.max()) + pick.randint(0, 3))

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, dtype=torch.float64, generator=generator)

    logprobs = -2 * draw(*shape).abs()
    on_policy = pick.random() < 0.3
    old = logprobs if on_policy else logprobs + pick.choice([0.05, 0.3, 1.0]) * draw(*shape)
    advantages = draw(len(lengths)) * (draw(len(lengths)) > -0.8)
    selected = torch.arange(shape[1])[None] < lengths[:, None]
    tokens = PolicyTokens(logprobs, old, advantages, selected, logprobs + 0.5 * draw(*shape))
    beta, low, high = pick.choice([0.0, 1e-3, 0.2]), pick.choice([0.2, 0.1]), pick.choice([0.2, 0.28])
    return Case(lengths, tokens, on_policy, beta, low, high, pick.choice([1, 1, 2, 4]))


def trl_loss(case: Case, loss_type: str, mask: Tensor, items: float = 1.0) -> tuple[Tensor, Tensor]:
    """Loss and gradient of TRL; ``mask`` is its completion mask and ``items`` its ``num_items_in_batch``."""
    leaf = case.tokens.logprobs.detach().clone().requires_grad_()
    rows, width = leaf.shape
    trainer = object.__new__(GRPOTrainer)
    trainer.loss_type = loss_type
    trainer.beta = case.beta
    trainer.epsilon_low, trainer.epsilon_high = case.clip_low, case.clip_high
    trainer.importance_sampling_level = "token"
    trainer.top_entropy_quantile = 1.0
    trainer.off_policy_mask_threshold = None
    trainer.use_vllm = trainer.vllm_importance_sampling_correction = False
    trainer.aux_loss_enabled = trainer._entropy_bonus_enabled = False
    trainer.max_completion_length = width
    trainer.current_gradient_accumulation_steps = case.accumulation
    trainer.args = SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=case.accumulation)
    trainer.model = SimpleNamespace(training=True)
    trainer.accelerator = SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x)
    trainer._metrics = {"train": defaultdict(list), "eval": defaultdict(list)}
    trainer._get_per_token_logps_and_entropies = lambda *args, **kwargs: (leaf, torch.zeros_like(leaf.detach()), None)
    inputs = {
        "prompt_ids": torch.zeros(rows, 1, dtype=torch.long),
        "prompt_mask": torch.ones(rows, 1, dtype=torch.long),
        "completion_ids": torch.zeros(rows, width, dtype=torch.long),
        "completion_mask": mask.long(),
        "advantages": case.tokens.advantages,
        "ref_per_token_logps": case.tokens.reference_logprobs,
        "num_items_in_batch": torch.tensor(float(items), dtype=torch.float64),
    }
    if not case.on_policy:
        inputs["old_per_token_logps"] = case.tokens.old_logprobs
    loss = GRPOTrainer._compute_loss(trainer, None, inputs)
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.detach(), gradient


def our_loss(case: Case, loss, selected: Tensor) -> tuple[Tensor, Tensor]:
    leaf = case.tokens.logprobs.detach().clone().requires_grad_()
    old = leaf.detach() if case.on_policy else case.tokens.old_logprobs
    tokens = PolicyTokens(leaf, old, case.tokens.advantages, selected, case.tokens.reference_logprobs)
    value = loss(tokens)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def assert_same(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor], seed: int, factor: float = 1.0) -> None:
    for name, mine, other in zip(("loss", "gradient"), ours, theirs, strict=True):
        message = f"{name} of case {seed}: {{}}".format
        torch.testing.assert_close(mine, other * factor, **EXACT, msg=message)


def test_grpo_is_trl_grpo():
    """TRL computes one of ``accumulation`` micro-batches: ours is given the responses of the whole update."""
    for seed in range(CASES):
        case = make(seed)
        responses = len(case.lengths) * case.accumulation
        ours = our_loss(
            case, lambda t, c=case, n=responses: grpo_loss(t, c.lengths, n, **c.settings), case.tokens.selected
        )
        assert_same(ours, trl_loss(case, "grpo", case.tokens.selected), seed)


def test_c3po_with_a_budget_of_all_tokens_is_trl_dapo():
    for seed in range(CASES):
        case = make(seed)
        total = int(case.lengths.sum()) + seed % 7  # tokens of the other micro-batches of the update
        ours = our_loss(case, lambda t, c=case, n=total: c3po_loss(t, n, **c.settings), case.tokens.selected)
        assert_same(ours, trl_loss(case, "dapo", case.tokens.selected, total), seed)


def test_c3po_is_trl_dapo_with_the_cut_mask_and_phi_items():
    cut = 0
    for seed in range(CASES):
        case = make(seed)
        phi = random.Random(seed + 10_000).randint(1, int(case.lengths.sum()))
        kept = select_tokens(case.lengths, phi).kept
        selected = torch.arange(case.tokens.selected.shape[1])[None] < kept[:, None]
        cut += int(phi < int(case.lengths.sum()))
        ours = our_loss(case, lambda t, c=case, n=phi: c3po_loss(t, n, **c.settings), selected)
        theirs = trl_loss(case, "dapo", selected, phi)
        assert_same(ours, theirs, seed)
        assert (ours[1][~selected] == 0).all()
    assert cut > CASES // 2


def test_c3po_is_trl_dr_grpo_up_to_its_constant():
    """dr_grpo divides by responses x longest length x accumulation instead of Phi."""
    for seed in range(CASES):
        case = make(seed)
        phi = float(case.lengths.sum())
        constant = case.tokens.selected.numel() * case.accumulation
        ours = our_loss(case, lambda t, c=case, n=phi: c3po_loss(t, n, **c.settings), case.tokens.selected)
        assert_same(ours, trl_loss(case, "dr_grpo", case.tokens.selected), seed, factor=constant / phi)
