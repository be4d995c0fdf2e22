"""Rollouts: responses drawn from the current policy, with exact log-probabilities."""

from harness.errors import UsageError

try:
    from reference_trainer.rollout.rollout import (
        Rollout,
        RolloutEngine,
        RolloutRequest,
        Sampling,
        group_requests,
        response_seed,
    )
    from reference_trainer.rollout.settings import RolloutEngineConfig, make_rollout_engine
    from reference_trainer.rollout.transformers_engine import TransformersEngine
except ImportError as error:
    raise UsageError(
        f"Rollouts need torch and transformers 5 ({error}); install them with: pip install 'ringlite[train]'"
    ) from error

__all__ = [
    "Rollout",
    "RolloutEngine",
    "RolloutEngineConfig",
    "RolloutRequest",
    "Sampling",
    "TransformersEngine",
    "group_requests",
    "make_rollout_engine",
    "response_seed",
]
