"""The production engine against the plain equations, on a real checkpoint and responses that were really sampled."""

import random
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch

from reference_trainer.config import ObjectiveConfig, RLConfig
from reference_trainer.engine import UpdateBatch
from reference_trainer.gates.drawn import holds, strategies
from reference_trainer.gates.evidence import Evidence, batch_checks
from reference_trainer.gates.plain import PlainTerms, gradient, plain_terms
from reference_trainer.gates.probe import Probe, plain_sequences, replay_step
from reference_trainer.gates.record import Check
from reference_trainer.recipe import GateConfig
from reference_trainer.rollout import Rollout

_EXACT = 1e-9  # float64 against float64, relative
_ROWS = 4  # sequences of a drawn update
_TERMS = {  # the coefficients of Eq. 6 for entropy, balance and z, and where the term's code is
    "policy": ((0.0, 0.0, 0.0), "c3po_loss, grpo_loss and Phi"),
    "entropy": ((1.0, 0.0, 0.0), "entropy_term and its sign"),
    "balance": ((0.0, 1.0, 0.0), "expert_load and balance_loss"),
    "z": ((0.0, 0.0, 1.0), "z_loss and router_sums"),
}


class ObjectiveChecks:
    """Checks of the objective on one policy.

    Args:
        model: The policy, in float64; its weights stay as they are.
        reference: pi_ref, in float64, another one than the policy, so that the KL term shows.
        rl: Of the stage.
        evidence: A step whose responses are taken.
        gates: Number of examples.
    """

    def __init__(self, model: Any, reference: Any, rl: RLConfig, evidence: Evidence, gates: GateConfig):
        self.model, self.reference, self.rl, self.evidence, self.gates = model, reference, rl, evidence, gates
        self.probe = Probe(
            model, rl.objective, rl.optimizer.model_copy(update={"autocast": "none"}), rl.rollout.temperature
        )
        if self.probe.reference is not None:
            self.probe.reference.model = reference
        self.st = strategies()

    def checks(self) -> Iterator[Check]:
        """All of them."""
        yield from self._steps()
        for term in _TERMS:
            yield self._term(term)
        if self.rl.objective.loss != "sft":
            yield self._direction()

    def _steps(self) -> Iterator[Check]:
        """Whole production steps on drawn prompts, rewards and Phi: Eq. 3 and advantages of what they train on."""
        st, groups = self.st, self.evidence.groups
        size = len(groups[0])
        prompts = st.lists(st.integers(0, len(groups) - 1), min_size=1, max_size=min(3, len(groups)), unique=True)
        case = prompts.flatmap(
            lambda drawn: st.fixed_dictionaries(
                {
                    "prompts": st.just(drawn),
                    "rewards": st.lists(st.booleans(), min_size=len(drawn) * size, max_size=len(drawn) * size),
                    "phi_share": st.floats(0.05, 1.2),
                }
            )
        )
        found: dict[str, float] = {}

        def errors(drawn: dict[str, Any]) -> float:
            checks = self._replay(drawn["prompts"], drawn["rewards"], drawn["phi_share"])
            for check in checks:
                found[check.name] = max(found.get(check.name, 0.0), float(check.value or 0))
            return max(float(check.value or 0) for check in checks)

        whole = holds(
            "step", "as in the equations", _EXACT, case, self.gates.examples, errors, "look at RLTrainer.step"
        )
        bounds = {
            "budget": "0 responses cut otherwise than by Eq. 3, for any Phi",
            "divisor": "0 updates divided by other than Phi",
            "advantages": f"independent of the cut, for any Phi, within {_EXACT:g}",
        }
        for kind, bound in bounds.items():
            value = found.get(f"step.{kind}", 0.0)
            yield Check(f"step.{kind}", value <= _EXACT, value, bound, "" if value <= _EXACT else whole.detail)

    def _replay(self, prompts: Sequence[int], rewards: Sequence[bool], phi_share: float) -> list[Check]:
        groups = [self.evidence.groups[number] for number in prompts]
        size, updates = len(groups[0]), min(self.rl.optimizer.updates_per_rollout, len(groups))
        total = sum(rollout.length for group in groups for rollout in group)
        under_fill = self.rl.objective.under_fill
        objective = {
            "token_budget": max(1, round(total * phi_share)),
            "under_fill": under_fill if under_fill == "renormalise" else "divide_phi",
        }
        rl = self.rl.model_copy(
            update={
                "objective": self.rl.objective.model_copy(update=objective),
                "optimizer": self.probe.settings.model_copy(update={"updates_per_rollout": updates}),
                "rollout": self.rl.rollout.model_copy(
                    update={"prompts_per_step": len(groups), "responses_per_prompt": size}
                ),
            }
        )
        step = replay_step(self.probe, groups, [float(reward) for reward in rewards], rl)
        rollouts: list[Rollout] = step.experience.rollouts
        seen = [rollouts[i : i + size] for i in range(0, len(rollouts), size)]
        return list(batch_checks("step", step.batches, seen, step.experience.rewards.tolist(), rl))

    def _term(self, term: str) -> Check:
        """Value and gradient of one term for drawn sequences, order, Phi, advantages, pi_old and micro-batches."""
        st, objective = self.st, self._alone(term)
        rows = st.lists(st.integers(0, len(self.evidence.rollouts) - 1), min_size=1, max_size=_ROWS, unique=True)
        case = st.fixed_dictionaries(
            {
                "rows": rows,
                "phi": st.integers(1, 500),
                "micro_batch_tokens": st.sampled_from([1, 40, 80, 120, 16_384]),
                "off_policy": st.sampled_from([0.0, 0.1, 0.5]),
                "seed": st.integers(0, 1 << 16),
            }
        )

        def error(drawn: dict[str, Any]) -> float:
            batch = self._batch(drawn, policy=term == "policy")
            metrics, found = self.probe.ask(batch, objective, drawn["micro_batch_tokens"])
            terms = self._plain(batch, objective)
            loss = terms.total(objective)
            expected = float(loss.detach())
            value = abs(float(metrics["loss"]) - expected) / max(1.0, abs(expected))
            return max(_apart(found, gradient(loss, self.model)), value)

        return holds(
            f"objective.{term}",
            "value and gradient of the plain equation, whatever the order and the micro-batches,",
            _EXACT,
            case,
            self.gates.examples,
            error,
            f"look at {_TERMS[term][1]}",
        )

    def _alone(self, term: str) -> ObjectiveConfig:
        """The stage's objective with one term of Eq. 6 alone."""
        names = ("entropy_coefficient", "balance_coefficient", "z_coefficient")
        changes = dict(zip(names, _TERMS[term][0], strict=True))
        return self.rl.objective.model_copy(update=changes | ({} if term == "policy" else {"kl_coefficient": 0.0}))

    def _direction(self) -> Check:
        """One small step on the production engine's entropy term raises the entropy, or lowers it under ``paper``."""
        objective = self._alone("entropy")
        drawn = {"rows": range(min(_ROWS, len(self.evidence.rollouts))), "phi": 100, "off_policy": 0.0, "seed": 0}
        batch = self._batch(drawn, policy=False)
        _, found = self.probe.ask(batch, objective, 16_384)
        before = self._plain(batch, objective).mean_entropy
        moved = deepcopy(self.model)
        with torch.no_grad():
            place = 0
            for weight in moved.parameters():
                step = found[place : place + weight.numel()].view_as(weight)
                weight -= 1e-4 * step / (found.norm() + 1e-30)
                place += weight.numel()
        after = self._plain(batch, objective, moved).mean_entropy
        bonus = self.rl.objective.entropy_sign == "bonus"
        ok = after > before if bonus else after < before
        return Check(
            "objective.entropy_direction",
            ok,
            after - before,
            f"{'above' if bonus else 'below'} 0: the change of the mean entropy by one step on its term",
            "" if ok else "look at the sign in total_loss and at objective.entropy_sign",
        )

    def _batch(self, drawn: Mapping[str, Any], *, policy: bool) -> UpdateBatch:
        """Drawn responses as one update; without ``policy`` all advantages are 0."""
        generator = random.Random(drawn["seed"])
        rollouts = [self.evidence.rollouts[number] for number in drawn["rows"]]
        kept = [generator.randint(1, rollout.length) for rollout in rollouts]
        batch = UpdateBatch(
            prompts=[rollout.prompt for rollout in rollouts],
            responses=[rollout.response[:k] for rollout, k in zip(rollouts, kept, strict=True)],
            lengths=torch.tensor([rollout.length for rollout in rollouts]),
            advantages=torch.tensor([generator.gauss(0, 1) if policy else 0.0 for _ in rollouts], dtype=torch.float64),
            divisor=float(drawn["phi"]),
            tokens=sum(kept),
            update_responses=len(rollouts) + generator.randint(0, 3),
            sampling_logprobs=[r.logprobs[:k].double() for r, k in zip(rollouts, kept, strict=True)],
        )
        [batch] = self.probe.prepare([batch])
        if drawn["off_policy"]:
            noise = drawn["off_policy"]
            current = self.probe.logprobs(batch)
            old = [row + torch.tensor([generator.gauss(0, noise) for _ in row], dtype=row.dtype) for row in current]
            batch = replace(batch, old_logprobs=old)
        return batch

    def _plain(self, batch: UpdateBatch, objective: ObjectiveConfig, model: Any = None) -> PlainTerms:
        return plain_terms(
            self.model if model is None else model,
            self.reference if objective.kl_coefficient else None,
            plain_sequences(batch),
            divisor=batch.divisor,
            responses=batch.update_responses,
            objective=objective,
            temperature=self.rl.rollout.temperature,
        )


def _apart(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Relative distance of two gradients."""
    return float((found - expected).norm() / (expected.norm() + 1e-12))
