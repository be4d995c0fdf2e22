"""Per-token estimators of KL(pi || pi_ref) from sampled tokens (J. Schulman, "Approximating KL divergence", 2020)."""

from torch import Tensor

from reference_trainer.config import KLEstimator


def kl_per_token(logprobs: Tensor, reference_logprobs: Tensor, estimator: KLEstimator = "k3") -> Tensor:
    """The KL term of Eq. 1 and 2 at each sampled token, with d = log pi - log pi_ref.

    k1 = d (unbiased value, but as a loss its expected gradient is zero); k2 = d^2 / 2 (its gradient is that of
    KL(pi || pi_ref)); k3 = exp(-d) - 1 + d (unbiased value, never negative; its gradient is that of KL(pi_ref || pi)).

    Args:
        logprobs: Log-probabilities of the sampled tokens under the policy, any shape.
        reference_logprobs: The same tokens under the reference policy, same shape.
        estimator: Which of the three.
    """
    difference = logprobs - reference_logprobs
    if estimator == "k1":
        return difference
    if estimator == "k2":
        return difference.square() / 2
    return (-difference).expm1() + difference
